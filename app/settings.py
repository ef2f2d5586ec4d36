"""All settings, and the only reader of the environment."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from app.domain.configuration.hosts import is_loopback
from app.domain.configuration.values import (
    ApiKeys,
    BaseUrl,
    DatabaseUrl,
    Hosts,
    ListenAddress,
    MediaTypes,
    Networks,
    Origins,
    QueueUrl,
    RecipeJson,
    Secret,
    StorageUrl,
)
from app.domain.errors import ConfigurationError
from app.domain.limits import MEBIBYTE
from app.domain.media import MEDIA_TYPES
from app.domain.recipe import DEFAULT_RECIPE

PREFIX = "DARKROOM_"
#: Variables of the command-line client, which the service leaves alone.
CLIENT_NAMES = frozenset({"DARKROOM_URL", "DARKROOM_API_KEY"})
#: Settings that have another name now.
RENAMED = {
    "DARKROOM_METADATA_URL": "DARKROOM_DATABASE_URL",
    "DARKROOM_DEVELOP_SECONDS": "DARKROOM_PROCESSING_TIMEOUT_SECONDS",
    "DARKROOM_DEVELOP_MEMORY_MB": "DARKROOM_PROCESSING_MEMORY_MB",
    "DARKROOM_MAX_RECEIVES": "DARKROOM_MAX_ATTEMPTS",
}
#: Fields whose values are never repeated.
_PRIVATE = frozenset({"secret", "api_keys"})


class Settings(BaseModel):
    """Each field is set by the environment variable of its name in capitals after `DARKROOM_`. Empty means unset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_url: StorageUrl = Field(
        default="file:./data", description="Where bytes live: `file:<folder>` or `s3://<bucket>`."
    )
    database_url: DatabaseUrl = Field(
        default="sqlite:./data/darkroom.db",
        description="Where records live: `sqlite:<file>` or `dynamodb://<table>`. `file` goes with `sqlite`, "
        "`s3` with `dynamodb`.",
    )
    queue_url: QueueUrl | None = Field(
        default=None, description="The SQS queue that the bucket's events go to. Needed with `s3://`, and only then."
    )
    auth: Literal["none", "required"] = Field(
        default="none", description="`required` asks every caller for an API key; `none` lets in whoever can connect."
    )
    api_keys: ApiKeys = Field(
        default=(),
        description="Comma-separated `<owner>:<scope>+<scope>:<sha256 hex of the key>`; `darkroom key new` makes one.",
        repr=False,
    )
    cors_origins: Origins = Field(
        default=(), description="Comma-separated origins whose pages may call, such as `https://www.example.org`."
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Consent to a service without API keys that others can reach: needed on AWS, and where "
        "`DARKROOM_HOST` is not this machine alone.",
    )
    host: ListenAddress = Field(
        default="127.0.0.1",
        description="The address that the server listens on. `0.0.0.0` is every IPv4 address of the machine, `::` "
        "every IPv6 address.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port that the server listens on; 0 is a free one.")
    public_url: BaseUrl | None = Field(
        default=None,
        description="The address under which clients see the service, such as `https://img.example.org` or "
        "`https://www.example.org/pictures`: all urls begin with it. Its host is an allowed one.",
    )
    allowed_hosts: Hosts = Field(
        default=(),
        description="Comma-separated further hosts that the service answers under: `nas.local`, `.example.org` (and "
        "every name below it), `*.example.org` (only names below it), `*` (every host). `localhost`, IP addresses and "
        "the host of `DARKROOM_PUBLIC_URL` are always allowed. Other hosts are refused without keys, and with keys if "
        "this is set.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Comma-separated addresses and networks of proxies, such as `127.0.0.1, 172.16.0.0/12`, whose "
        "`X-Forwarded-For`, `-Host`, `-Proto`, `-Prefix` and `Forwarded` headers count.",
    )
    cdn_url: BaseUrl | None = Field(
        default=None,
        description="Where a CDN in front of the bucket answers, such as `https://d1.cloudfront.net`: variants' urls "
        "lead there, unsigned. Only with `s3://`.",
    )
    secret: Secret | None = Field(
        default=None,
        description="Signs cursors and urls; at least 16 characters. Embedded: made once in the data folder.",
    )
    max_upload_bytes: int = Field(
        default=50 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE, description="The largest picture taken, in bytes."
    )
    max_pixels: int = Field(
        default=100_000_000, ge=1, le=1_000_000_000, description="The most pixels decoded, over all frames."
    )
    max_frames: int = Field(
        default=60, ge=1, le=1000, description="The most frames kept of an animation; with more it becomes a still."
    )
    max_open_tickets: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="The most unused upload tickets of one owner; they end after 24 hours.",
    )
    accepted_types: MediaTypes = Field(
        default=MEDIA_TYPES, description="Comma-separated media types that uploads may have."
    )
    recipe: RecipeJson = Field(
        default=DEFAULT_RECIPE, description='The variants to make, as JSON: `{"variants": [{"name": …}, …]}`.'
    )
    processing_timeout_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="How long one picture may take before it ends `failed: timeout`.",
    )
    processing_memory_mb: int = Field(
        default=1024, ge=128, le=8192, description="How much memory one picture may take before `failed: memory`."
    )
    max_attempts: int = Field(
        default=5, ge=1, le=100, description="How often an event is tried before it goes to the dead letters."
    )
    min_free_mb: int = Field(
        default=256,
        ge=0,
        description="Self-hosted: free disk space in MB below which uploads are refused with 507, so that deletes and "
        "images in progress still work. 0: off.",
    )
    max_spool_mb: int = Field(
        default=1024, ge=1, description="Temporary space in MB for all uploads in progress; more are refused with 503."
    )
    max_waiting: int = Field(
        default=1000, ge=0, description="The most requests that wait (`?wait=`) at once; others are answered at once."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe lines that are logged."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="`text` for people, `json` for machines; `auto` is `text` in a terminal only."
    )
    service: str = Field(
        default="darkroom",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="Which installation it is, in log lines and, on AWS, in metrics.",
    )

    @property
    def embedded(self) -> bool:
        """Return True if everything lives in a data folder of this machine."""
        return self.storage_url.startswith("file:")

    @property
    def data_folder(self) -> Path:
        """The folder of `file:`, absolute."""
        return Path(self.storage_url.removeprefix("file:")).absolute()

    @property
    def database_file(self) -> Path:
        """The file of `sqlite:`, absolute."""
        return Path(self.database_url.removeprefix("sqlite:")).absolute()

    @property
    def bucket(self) -> str:
        """The bucket of `s3://`."""
        return self.storage_url.removeprefix("s3://")

    @property
    def table(self) -> str:
        """The table of `dynamodb://`."""
        return self.database_url.removeprefix("dynamodb://")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises `ConfigurationError` naming every variable that is wrong, all at once."""
    environment = os.environ if environment is None else environment
    fields = {PREFIX + field.upper(): field for field in Settings.model_fields}
    given = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX) and value.strip()}
    complaints = [_unknown(name, fields) for name in sorted(given) if name not in fields and name not in CLIENT_NAMES]
    values = {fields[name]: value for name, value in given.items() if name in fields}
    wrong: set[str] = set()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = _first_causes(error)
        complaints += map(_complaint, problems)
        wrong = {str(problem["loc"][0]) for problem in problems}
        settings = Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    complaints += [sentence for involved, sentence in _conflicts(settings) if not wrong & involved]
    if complaints:
        raise ConfigurationError("Darkroom cannot start:\n  " + "\n  ".join(complaints))
    return settings


def _unknown(name: str, known: Mapping[str, str]) -> str:
    if current := RENAMED.get(name.upper()):
        return f"{name}: renamed to {current}"
    near = get_close_matches(name.upper(), known, n=1)
    return f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _first_causes(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that only follow from others: a recipe whose one variant is wrong has none."""
    problems = error.errors(include_url=False, include_context=False)
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem, here in zip(problems, places, strict=True)
        if not any(len(here) < len(place) and place[: len(here)] == here for place in places)
    ]


def _complaint(problem: ErrorDetails) -> str:
    field, *inside = map(str, problem["loc"])
    sentence = problem["msg"].removeprefix("Value error, ")
    if problem["type"] != "value_error":  # ours say what they found, as far as it may be repeated
        sentence = re.sub("^(Input|String|Value|Tuple) should ", "must ", sentence).partition(" after validation")[0]
        found = problem["input"]
        if field not in _PRIVATE and isinstance(found, str | int | float):
            sentence += f" (found: {str(found)[:80]!r})"
    return f"{'.'.join([PREFIX + field.upper(), *inside])}: {sentence}"


def _conflicts(settings: Settings) -> list[tuple[set[str], str]]:
    """Return what does not go together: the fields, and a sentence."""
    found: list[tuple[set[str], str]] = []
    schemes = (settings.storage_url.partition(":")[0], settings.database_url.partition(":")[0])
    if schemes not in {("file", "sqlite"), ("s3", "dynamodb")}:
        sentence = (
            f"DARKROOM_STORAGE_URL ({schemes[0]}:) and DARKROOM_DATABASE_URL ({schemes[1]}:) do not go together: "
            "use file: with sqlite:, or s3:// with dynamodb://"
        )
        found.append(({"storage_url", "database_url"}, sentence))
    if schemes[0] == "s3" and not settings.queue_url:
        found.append(({"storage_url", "queue_url"}, "DARKROOM_QUEUE_URL: must name the queue of the bucket's events"))
    if schemes[0] == "file" and settings.queue_url:
        sentence = (
            f"DARKROOM_STORAGE_URL ({schemes[0]}:) and DARKROOM_QUEUE_URL do not go together: the queue is for s3://"
        )
        found.append(({"storage_url", "queue_url"}, sentence))
    if schemes[0] == "file" and settings.cdn_url:
        sentence = "DARKROOM_CDN_URL: only with s3://; this server serves its files, not a CDN"
        found.append(({"storage_url", "cdn_url"}, sentence))
    if settings.max_spool_mb * MEBIBYTE < settings.max_upload_bytes:
        sentence = "DARKROOM_MAX_SPOOL_MB: must be no less than DARKROOM_MAX_UPLOAD_BYTES"
        found.append(({"max_spool_mb", "max_upload_bytes"}, sentence))
    if settings.auth == "none" and settings.api_keys:
        found.append(({"auth", "api_keys"}, "DARKROOM_AUTH: keys are set, so it must be `required`"))
    if settings.auth == "none" and not settings.allow_anonymous and not is_loopback(settings.host):
        sentence = (
            f"DARKROOM_HOST: {settings.host} can be reached from other machines, and no API key is asked for. Set "
            "DARKROOM_AUTH=required and DARKROOM_API_KEYS, or DARKROOM_ALLOW_ANONYMOUS=true if everybody who can "
            "connect may do everything"
        )
        found.append(({"auth", "allow_anonymous", "host"}, sentence))
    return found
