"""Files to upload: of arguments, folders, patterns and lists, without those to leave out; and urls."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from pathspec import GitIgnoreSpec

from darkroom.cli.image_file import to_text

#: The argument that stands for standard input.
STDIN = "-"
#: File in a folder with patterns of files to leave out, in the syntax of `.gitignore`.
IGNORE_FILE = ".darkroomignore"
#: Files and folders of operating systems, network storage and catalogs, which are no images of the user.
JUNK = (
    "@eaDir/", "@__thumb/", r"\#recycle/", r"\#snapshot/", "@Recycle/", "@Recently-Snapshot/", "$RECYCLE.BIN/",
    "System Volume Information/", "__MACOSX/", "lost+found/", "*.lrdata/", "*.photoslibrary/resources/",
    "SYNOFILE_THUMB_*", "SYNOPHOTO_THUMB_*", "[Tt]humbs.db", "ehthumbs.db", "[Dd]esktop.ini", ".DS_Store", "._*",
)  # fmt: skip
#: Limits of the service for tags.
_TAGS, _TAG_CHARACTERS = 20, 64


@dataclass(frozen=True)
class FoundFile:
    """A file to upload. `is_given` is false for a file that was found in a folder; `error` says why there is none."""

    path: Path
    is_given: bool
    #: Names of the folders from the given one to the file.
    folders: tuple[str, ...] = ()
    error: str = ""
    #: Url of an image that the service fetches instead.
    url: str = ""
    #: Name of standard input, whose path is a temporary file.
    name: Path | None = None

    @property
    def source(self) -> Path | str:
        """The path of the file, or the url, or the name of standard input."""
        return self.url or self.name or self.path


@dataclass(frozen=True)
class Rules:
    """Patterns of files to leave out, from the weakest to the strongest. The last one that matches decides."""

    #: Patterns with the folder that their paths are relative to.
    specs: tuple[tuple[PurePath, GitIgnoreSpec], ...] = ()
    #: Patterns of the command line, which are relative to each folder that is given.
    own: GitIgnoreSpec = field(default_factory=lambda: GitIgnoreSpec([]))

    @classmethod
    def build(cls, patterns: Iterable[str]) -> "Rules":
        """Build the rules of a run. Raises `ValueError` for an invalid pattern."""
        return cls(own=GitIgnoreSpec.from_lines(patterns))

    def below(self, folder: Path) -> "Rules":
        """Return the rules within a folder, with those of its `.darkroomignore`. Raises `ValueError`."""
        try:
            lines = (folder / IGNORE_FILE).read_text("utf-8", "replace").splitlines()
        except OSError:  # there is none
            return self
        return Rules((*self.specs, (folder, GitIgnoreSpec.from_lines(lines))), self.own)

    def ignores(self, path: Path, root: Path, *, is_folder: bool) -> bool:
        """Return True if the file or folder is left out. `root` is the folder that was given."""
        for base, spec in ((root, self.own), *reversed(self.specs), (root, _JUNK)):
            relative = path.relative_to(base).as_posix() + "/" * is_folder
            decided = spec.check_file(relative).include
            if decided is not None:
                return decided
        return False


_JUNK = GitIgnoreSpec.from_lines(JUNK)


def find_files(given: Iterable[str | Path | FoundFile], rules: Rules) -> Iterator[FoundFile]:
    """Yield what the arguments name: urls, files, folders, and patterns such as `*.jpg` that no shell has expanded.

    A `Path` is a file or a folder, even if its name looks like a pattern.
    """
    for argument in given:
        if isinstance(argument, FoundFile):
            yield argument
            continue
        path = Path(argument)
        if isinstance(argument, str) and is_url(argument):
            yield FoundFile(path, is_given=True, url=argument)
            continue
        if isinstance(argument, Path) or argument == STDIN or os.path.lexists(path) or not glob.has_magic(argument):
            yield from _files_of(path, rules)
            continue
        matches = sorted(glob.iglob(argument, recursive=True))  # noqa: PTH207 - the pattern may be absolute
        for match in matches:
            yield from _files_of(Path(match), rules)
        if not matches:
            yield FoundFile(path, is_given=True, error="No file matches this pattern.")


def is_url(argument: str) -> bool:
    """Return True for the url of an image. A file of such a name needs `./` in front of it."""
    return argument.lower().startswith(("https://", "http://"))


def hide_secrets(url: str) -> str:
    """Return a url without user name, password and query, which may hold a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the service will say what is wrong
        return url.partition("?")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_names(stream: BinaryIO) -> list[str | Path]:
    """Read a list of files, folders and urls, one in each line, or ended by null bytes as by `find -print0`."""
    content = stream.read()
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    given = (os.fsdecode(name) for name in names if name.strip())
    return [name.strip() if is_url(name) else Path(name) for name in given]


def folder_tags(found: FoundFile, tags: Iterable[str]) -> list[str]:
    """Return the tags of a file, and the names of its folders as far as the service accepts them as tags."""
    names = ("".join(c for c in to_text(name) if c.isprintable()).strip() for name in found.folders)
    return list(dict.fromkeys((*tags, *(name[:_TAG_CHARACTERS].strip() for name in names if name))))[:_TAGS]


def _files_of(path: Path, rules: Rules) -> Iterator[FoundFile]:
    try:
        is_folder = path.is_dir()
    except OSError:  # reading it will raise the error
        is_folder = False
    if rules.ignores(Path(path.name), Path(), is_folder=is_folder):
        return
    if not is_folder:
        yield FoundFile(path, is_given=True)
        return
    yield from _walk(path, rules)


def _walk(root: Path, rules: Rules) -> Iterator[FoundFile]:
    """Yield all files below a folder sorted by name, without hidden ones.

    Links are followed, and each folder is visited once, so that a link to a parent ends. Folders that cannot be read
    are yielded too, so that the caller reports them.
    """
    top = root.resolve().name
    visited: set[tuple[int, int]] = set()
    left: list[tuple[Path, Rules, tuple[str, ...]]] = [(root, rules, (top,) if top else ())]
    while left:
        folder, outer, names = left.pop()
        try:
            info = folder.stat()
            if (info.st_dev, info.st_ino) in visited:
                continue
            visited.add((info.st_dev, info.st_ino))
            with os.scandir(folder) as entries:
                found = sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError:
            yield FoundFile(folder, is_given=folder == root)
            continue
        try:
            inner = outer.below(folder)
        except ValueError as error:
            yield FoundFile(folder / IGNORE_FILE, is_given=True, error=f"Invalid pattern: {error}.")
            continue
        folders: list[tuple[Path, Rules, tuple[str, ...]]] = []
        for name, is_folder in found:
            path = folder / name
            if name.startswith(".") or inner.ignores(path, root, is_folder=is_folder):
                continue
            if is_folder:
                folders.append((path, inner, (*names, name)))
            else:
                yield FoundFile(path, is_given=False, folders=names)
        left.extend(reversed(folders))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
