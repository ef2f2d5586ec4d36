"""All settings, and the only reader of the environment."""

import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.access import ApiKey, parse_keys
from app.domain.addresses import address_of, listed_origin
from app.domain.errors import ConfigurationError
from app.domain.hosts import host_name, host_pattern, is_loopback, network
from app.domain.limits import MEBIBYTE
from app.domain.media import MEDIA_TYPES
from app.domain.recipe import DEFAULT_RECIPE, Recipe

PREFIX = "DARKROOM_"
#: Variables of the command-line client, which the service leaves alone.
CLIENT_NAMES = frozenset({"DARKROOM_URL", "DARKROOM_API_KEY"})


class Settings(BaseSettings):
    """Each field is set by the environment variable of its name in capitals after `DARKROOM_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    storage_url: str = Field(default="file:./data", description="Where bytes live: `file:<folder>` or `s3://<bucket>`.")
    metadata_url: str = Field(
        default="sqlite:./data/darkroom.db",
        description="Where records live: `sqlite:<file>` or `dynamodb://<table>`. `file` goes with `sqlite`, "
        "`s3` with `dynamodb`.",
    )
    queue_url: str | None = Field(
        default=None, description="The SQS queue that the bucket's events go to. Needed with `s3://`, and only then."
    )
    auth: Literal["none", "required"] = Field(
        default="none", description="`required` asks every caller for an API key; `none` lets in whoever can connect."
    )
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated `<owner>:<scope>+<scope>:<sha256 hex of the key>`; `darkroom key new` makes one.",
        repr=False,
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Comma-separated origins whose pages may call, such as `https://www.example.org`."
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Consent to a service without API keys that others can reach: needed on AWS, and where "
        "`DARKROOM_HOST` is not this machine alone.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address that the server listens on. `0.0.0.0` is every IPv4 address of the machine, `::` "
        "every IPv6 address.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port that the server listens on; 0 is a free one.")
    public_url: str | None = Field(
        default=None,
        description="The address under which clients see the service, such as `https://img.example.org` or "
        "`https://www.example.org/pictures`: all urls begin with it. Its host is an allowed one.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated further hosts that the service answers under: `nas.local`, `.example.org` (and "
        "every name below it), `*.example.org` (only names below it), `*` (every host). `localhost`, IP addresses and "
        "the host of `DARKROOM_PUBLIC_URL` are always allowed. Other hosts are refused without keys, and with keys if "
        "this is set.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated addresses and networks of proxies, such as `127.0.0.1, 172.16.0.0/12`, whose "
        "`X-Forwarded-For`, `-Host`, `-Proto`, `-Prefix` and `Forwarded` headers count.",
    )
    cdn_url: str | None = Field(
        default=None,
        description="Where a CDN in front of the bucket answers, such as `https://d1.cloudfront.net`: variants' urls "
        "lead there, unsigned. Only with `s3://`.",
    )
    secret: SecretStr | None = Field(
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
    accepted_types: Annotated[tuple[str, ...], NoDecode] = Field(
        default=MEDIA_TYPES, description="Comma-separated media types that uploads may have."
    )
    recipe: Annotated[Recipe, NoDecode] = Field(
        default=DEFAULT_RECIPE, description='The variants to make, as JSON: `{"variants": [{"name": …}, …]}`.'
    )
    develop_seconds: float = Field(
        default=30, gt=0, le=600, description="How long one picture may take before it ends `failed: timeout`."
    )
    develop_memory_mb: int = Field(
        default=1024, ge=128, le=8192, description="How much memory one picture may take before `failed: memory`."
    )
    max_receives: int = Field(
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

    @field_validator("api_keys", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        return tuple(parse_keys(value)) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(listed_origin, value)))

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(host_pattern, value)))

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        given = cls._split(value)
        return tuple(map(network, given)) if isinstance(given, tuple) else given

    @field_validator("host")
    @classmethod
    def _listens(cls, value: str) -> str:
        if host_name(f"[{value}]" if ":" in value else value) is None:
            raise ValueError("must be an IP address or a name of this machine")
        return value

    @field_validator("accepted_types", "cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("accepted_types")
    @classmethod
    def _known_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - set(MEDIA_TYPES)
        if unknown or not value:
            raise ValueError(f"{', '.join(sorted(unknown)) or 'nothing'} cannot be accepted; there is {MEDIA_TYPES}")
        return value

    @field_validator("recipe", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"is not JSON: {error}") from None

    @field_validator("public_url", "cdn_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return None if value is None else address_of(value)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 16:
            raise ValueError("must be at least 16 bytes long")
        return value

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        schemes = (self.storage_url.partition(":")[0], self.metadata_url.partition(":")[0])
        if schemes not in {("file", "sqlite"), ("s3", "dynamodb")}:
            raise ValueError(
                f"DARKROOM_STORAGE_URL ({schemes[0]}:) and DARKROOM_METADATA_URL ({schemes[1]}:) do not go together: "
                "use file: with sqlite:, or s3:// with dynamodb://"
            )
        if schemes[0] == "s3" and not self.queue_url:
            raise ValueError("DARKROOM_QUEUE_URL: must name the queue of the bucket's events")
        if schemes[0] == "file" and self.cdn_url:
            raise ValueError("DARKROOM_CDN_URL: files are served by this server, not by a CDN")
        if self.max_spool_mb * MEBIBYTE < self.max_upload_bytes:
            raise ValueError("DARKROOM_MAX_SPOOL_MB: must be no less than DARKROOM_MAX_UPLOAD_BYTES")
        if self.auth == "none" and self.api_keys:
            raise ValueError("DARKROOM_AUTH: keys are set, so it must be `required`")
        if self.auth == "none" and not self.allow_anonymous and not is_loopback(self.host):
            raise ValueError(
                f"DARKROOM_HOST: {self.host} can be reached from other machines, and no API key is asked for. Set "
                "DARKROOM_AUTH=required and DARKROOM_API_KEYS, or DARKROOM_ALLOW_ANONYMOUS=true if everybody who can "
                "connect may do everything"
            )
        return self

    @property
    def embedded(self) -> bool:
        """Whether everything lives in a data folder of this machine."""
        return self.storage_url.startswith("file:")

    @property
    def data_folder(self) -> Path:
        """The folder of `file:`, absolute."""
        return Path(self.storage_url.removeprefix("file:")).absolute()

    @property
    def database_file(self) -> Path:
        """The file of `sqlite:`, absolute."""
        return Path(self.metadata_url.removeprefix("sqlite:")).absolute()

    @property
    def bucket(self) -> str:
        """The bucket of `s3://`."""
        return self.storage_url.removeprefix("s3://").strip("/")

    @property
    def table(self) -> str:
        """The table of `dynamodb://`."""
        return self.metadata_url.removeprefix("dynamodb://").strip("/")


def _first_causes(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong, without what is only wrong around it: a recipe's one variant that is none leaves no variant."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem, here in zip(problems, places, strict=True)
        if not any(len(here) < len(place) and place[: len(here)] == here for place in places)
    ]


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises `ConfigurationError` naming every variable that is wrong, all at once."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX)}
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    complaints = [
        f"{name}: there is no such setting" for name in sorted(given) if name not in known and name not in CLIENT_NAMES
    ]
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in _first_causes(error):
            where = ".".join(str(part) for part in problem["loc"])
            head, _, rest = where.partition(".")
            name = f"{PREFIX}{head.upper()}{'.' + rest if rest else ''}: " if head else ""
            complaints.append(name + str(problem["msg"]).removeprefix("Value error, "))
    if complaints:
        raise ConfigurationError("Darkroom cannot start:\n  " + "\n  ".join(complaints))
    return settings
