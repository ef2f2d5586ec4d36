"""Images as lines of text."""

import shutil
import sys
from datetime import datetime

from rich.filesize import decimal

from darkroom.cli.console import WIDE, colored, shorten, write_line
from darkroom.cli.image_file import printable
from darkroom.records import Image

#: Colors of the states. Servers of later versions may have others.
COLORS = {"ready": "green", "pending": "yellow", "failed": "red"}


def write_image(image: Image, *, prefix: str = "") -> bool:
    """Print an image in one line, or in two on a narrow terminal. Return False if nobody reads it."""
    status = colored(f"{printable(image.status):8}", COLORS.get(image.status), sys.stdout)
    name, size, image_id = printable(image.filename or "-"), get_dimensions(image), printable(image.id)
    tags = " " + "".join(f" #{printable(tag)}" for tag in image.tags) if image.tags else ""
    if not sys.stdout.isatty():
        return write_line(f"{prefix}{image_id}  {status}  {size:>11}  {name}{tags}")
    columns = shutil.get_terminal_size().columns
    if columns < WIDE:
        room = columns - len(prefix) - 12 - len(size)
        return write_line(f"{prefix}{status}  {shorten(name, room)}  {size}") and write_line(f"  {image_id}")
    room = columns - len(prefix) - 61
    return write_line(f"{prefix}{image_id}  {status}  {size:>11}  {shorten(f'{name}{tags}', room)}")


def get_dimensions(image: Image) -> str:
    """Return width and height, or an empty text if they are not known."""
    return f"{image.width}×{image.height}" if image.width else ""


def format_bytes(number: int | None) -> str:
    """Return a number of bytes for people."""
    return "-" if number is None else decimal(number)


def format_time(moment: datetime | None) -> str:
    """Return a time of the service in the zone of the user."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")
