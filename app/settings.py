"""Settings. The only module that reads the environment."""

import os
from collections.abc import Mapping

from pydantic import ValidationError

from app.domain.configuration.complaints import PREFIX, first_causes, invalid_setting, unknown_setting
from app.domain.configuration.conflicts import find_conflicts
from app.domain.configuration.encoders import find_missing_encoder
from app.domain.configuration.model import Settings
from app.domain.errors import ConfigurationError

__all__ = ["Settings", "load", "load_on_lambda"]

#: Variables of the command-line client, which the service ignores.
CLIENT_NAMES = frozenset({"DARKROOM_URL", "DARKROOM_API_KEY"})


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises `ConfigurationError` with a line for every invalid variable."""
    environment = os.environ if environment is None else environment
    fields = {PREFIX + field.upper(): field for field in Settings.model_fields}
    given = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX) and value.strip()}
    complaints = [
        unknown_setting(name, fields) for name in sorted(given) if name not in fields and name not in CLIENT_NAMES
    ]
    values = {fields[name]: value for name, value in given.items() if name in fields}
    wrong: set[str] = set()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = first_causes(error)
        complaints += map(invalid_setting, problems)
        wrong = {str(problem["loc"][0]) for problem in problems}
        settings = Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    if settings.self_hosted and "database_url" not in values:
        folder = settings.storage_url.removeprefix("file:").rstrip("/")
        settings = settings.model_copy(update={"database_url": f"sqlite:{folder}/darkroom.db"})
    complaints += [sentence for involved, sentence in find_conflicts(settings.model_dump()) if not wrong & involved]
    if settings.self_hosted and (missing := find_missing_encoder(settings)):
        complaints.append(missing)
    if complaints:
        raise ConfigurationError("Darkroom cannot start:\n  " + "\n  ".join(complaints))
    return settings


def load_on_lambda() -> Settings:
    """Read the environment of a Lambda function. Raises `ConfigurationError` as `load` does, and for `file:`."""
    settings = load()
    if settings.self_hosted:
        raise ConfigurationError("DARKROOM_STORAGE_URL: must be s3://<bucket> on Lambda, which has no disk of its own")
    return settings
