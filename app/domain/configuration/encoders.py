"""Encoders that the settings ask for and that are optional packages."""

from importlib.util import find_spec

from app.domain.configuration.model import Settings
from app.domain.models import Format

#: Package that encodes JPEG XL: `requirements/jxl.txt`.
JXL_PACKAGE = "pyjpegxl"


def asks_for_jxl(settings: Settings) -> bool:
    """Return True if variants or sizes on demand are to be in JPEG XL."""
    return settings.on_demand_jxl or any(Format.JXL in spec.formats for spec in settings.recipe.variants)


def find_missing_encoder(settings: Settings) -> str | None:
    """Return a sentence about an encoder that is needed here and not installed, or None."""
    if not asks_for_jxl(settings) or find_spec(JXL_PACKAGE) is not None:
        return None
    name = "DARKROOM_ON_DEMAND_JXL" if settings.on_demand_jxl else "DARKROOM_RECIPE"
    return (
        f"{name}: JPEG XL needs the package {JXL_PACKAGE}, which is not installed. Run `make jxl`, build the "
        "image with the argument JXL=true, or leave `jxl` out"
    )
