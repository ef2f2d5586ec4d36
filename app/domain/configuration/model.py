"""All settings as one model."""

from typing import Literal

from pydantic import Field

from app.domain.access.file_seal import SIGNED_URL_SECONDS
from app.domain.configuration.stores import StoreSettings
from app.domain.configuration.values import (
    ApiKeys,
    BaseUrl,
    Hosts,
    ListenAddress,
    MediaTypes,
    Networks,
    Origins,
    Rate,
    Ratios,
    RecipeJson,
    Secret,
    Widths,
)
from app.domain.limits import MEBIBYTE
from app.domain.media import MEDIA_TYPES
from app.domain.models import Visibility
from app.domain.recipe import DEFAULT_RECIPE
from app.domain.sizes.offer import RATIOS, WIDTHS, OnDemand


class Settings(StoreSettings):
    """Settings: a field is set by `DARKROOM_` and its name in capitals; an empty variable is unset."""

    auth: Literal["none", "required"] = Field(
        default="none",
        description="`required`: every caller needs an API key. `none`: everybody who can connect is admitted.",
    )
    api_keys: ApiKeys = Field(
        default=(),
        description="Comma-separated `<owner>:<scope>+<scope>:<sha256 hex of the key>`; `darkroom key entry "
        "create` makes one. `darkroom key create` stores keys without a restart instead.",
        repr=False,
    )
    cors_origins: Origins = Field(
        default=(),
        description="Comma-separated origins whose pages may call the API, such as `https://www.example.org`.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Allow `DARKROOM_AUTH=none` for a service that others can reach: on AWS, and if `DARKROOM_HOST` "
        "is not a loopback address.",
    )
    host: ListenAddress = Field(
        default="127.0.0.1",
        description="Address to listen on. `0.0.0.0`: every IPv4 address of the machine; `::`: every IPv6 address.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0: any free port.")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Self-hosted: port that answers `/metrics` for Prometheus without an API key; 0: any free port. "
        "Default: none; `/metrics` on the main port needs a key with the scope `admin`.",
    )
    metrics_host: ListenAddress = Field(
        default="127.0.0.1", description="Address to listen on for `DARKROOM_METRICS_PORT`."
    )
    public_url: BaseUrl | None = Field(
        default=None,
        description="Address of the service for its clients, such as `https://img.example.org` or "
        "`https://www.example.org/images`. All urls begin with it, and its host is allowed.",
    )
    allowed_hosts: Hosts = Field(
        default=(),
        description="Comma-separated additional hosts of the service: `nas.local`, `.example.org` (with its "
        "subdomains), `*.example.org` (only its subdomains), `*` (every host). `localhost`, IP addresses "
        "and the host of `DARKROOM_PUBLIC_URL` are always allowed. Requests for other hosts are refused "
        "without authentication, and with it if this is set.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Comma-separated addresses and networks of proxies, such as `127.0.0.1, 172.16.0.0/12`, whose "
        "`X-Forwarded-For`, `-Host`, `-Proto`, `-Prefix` and `Forwarded` headers are trusted.",
    )
    fetch_hosts: Hosts = Field(
        default=(),
        description="Comma-separated hosts that images may be fetched from, for uploads from a url: `img.example.org`, "
        "`.example.org` (with its subdomains), `*.example.org` (only its subdomains), `*` (every host). Unset: off.",
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Self-hosted: request urls at private addresses and on this machine too, and by `http:`.",
    )
    cdn_url: BaseUrl | None = Field(
        default=None,
        description="Address of a CDN in front of the bucket, such as `https://d1.cloudfront.net`. Urls of variants "
        "begin with it and are not signed. Only with `s3://`.",
    )
    cdn_distribution: str | None = Field(
        default=None,
        pattern="^[A-Z0-9]{1,64}$",
        description="Id of the CloudFront distribution at `DARKROOM_CDN_URL`, such as `E1PA6795UKMFR9`. Variants that "
        "are not public any more are then removed from its caches within minutes, not within a day.",
    )
    secret: Secret | None = Field(
        default=None,
        description="Secret that signs cursors and urls, at least 16 bytes. Self-hosted: created in the data folder "
        "if unset.",
    )
    previous_secret: Secret | None = Field(
        default=None,
        description="Secret that signed before. What it has signed stays valid.",
    )
    signed_url_seconds: int = Field(
        default=SIGNED_URL_SECONDS,
        ge=60,
        le=7 * 24 * 3600,
        description="Longest life of a signed url, in seconds (60 to 604,800). A new one is valid for half of that at "
        "least.",
    )
    default_visibility: Visibility | None = Field(
        default=None,
        description="Visibility of new images: `private` or `public`. Default: `public` without API keys, `private` "
        "with them.",
    )
    max_upload_bytes: int = Field(
        default=50 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE, description="Size limit of an image, in bytes."
    )
    max_json_bytes: int = Field(
        default=16 * MEBIBYTE, ge=65536, le=64 * MEBIBYTE, description="Size limit of an upload as JSON, in bytes."
    )
    max_pixels: int = Field(
        default=100_000_000, ge=1, le=1_000_000_000, description="Limit of decoded pixels, over all frames."
    )
    max_frames: int = Field(
        default=60, ge=1, le=1000, description="Limit of frames of an animation; one with more becomes a still image."
    )
    max_open_tickets: int = Field(
        default=1000, ge=1, le=10_000, description="Limit of unused upload tickets per owner; each expires in 24 hours."
    )
    quota_bytes: int = Field(
        default=0,
        ge=0,
        description="Most bytes of originals that one owner may store, with the trash and upload tickets; more are "
        "refused with 507. 0: no limit.",
    )
    quota_images: int = Field(
        default=0,
        ge=0,
        description="Most images of one owner, with the trash and upload tickets; more are refused with 507. 0: no "
        "limit.",
    )
    rate_limit: Rate = Field(
        default=0,
        description="Requests a second that each API key, or each address without a key, may send on average (0.1 to "
        "10,000), and ten times as many at once; more are refused with 429. Requests for image bytes and the page, "
        "uploads with a ticket, and health checks do not count. 0: no limit.",
    )
    trash_days: int = Field(
        default=0,
        ge=0,
        le=3650,
        description="Days in which a deleted image can be restored (0 to 3,650). 0: deletes are permanent. Images in "
        "the trash keep the days that were set when they were deleted.",
    )
    accepted_types: MediaTypes = Field(
        default=MEDIA_TYPES, description="Comma-separated media types accepted for upload."
    )
    recipe: RecipeJson = Field(
        default=DEFAULT_RECIPE, description='The variants to render, as JSON: `{"variants": [{"name": …}, …]}`.'
    )
    on_demand: OnDemand | None = Field(
        default=None,
        description="Sizes on demand, `/i/{id}?w=640`. `snap`: everybody may ask for the widths and ratios below, and "
        "others need a signature. `signed`: every size needs one. `off`: none. Default: `snap` self-hosted, `off` on "
        "AWS.",
    )
    on_demand_widths: Widths = Field(
        default=WIDTHS,
        description="Comma-separated widths of sizes on demand, at most 16. Others snap up to the next one.",
    )
    on_demand_ratios: Ratios = Field(
        default=RATIOS,
        description="Comma-separated aspect ratios that sizes on demand may be cropped to, at most 8, such as "
        "`1:1, 16:9`; or `none`.",
    )
    on_demand_jxl: bool = Field(
        default=False,
        description="Sizes on demand in JPEG XL too: with `fm=jxl`, and for browsers whose `Accept` names `image/jxl`. "
        "Needs its encoder, see [`sizes.md`](sizes.md#jpeg-xl).",
    )
    render_function: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_:-]{1,170}$",
        description="Name of the Lambda function that renders sizes on demand. Only with `s3://`; self-hosted, the "
        "worker process renders them.",
    )
    processing_timeout_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="Time limit for processing one image; after it the image is `failed: timeout`.",
    )
    processing_memory_mb: int = Field(
        default=1024,
        ge=128,
        le=8192,
        description="Memory limit in MB for processing one image; above it the image is `failed: memory`.",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Self-hosted: images processed at the same time. Default: the number of processors.",
    )
    memory_budget_mb: int | None = Field(
        default=None,
        ge=128,
        description="Self-hosted: memory in MB for all images that are processed at the same time. Default: 70 % of "
        "the memory of the machine or the container.",
    )
    max_attempts: int = Field(
        default=5, ge=1, le=100, description="Deliveries of an event before it goes to the dead letters."
    )
    min_free_mb: int = Field(
        default=256,
        ge=0,
        description="Self-hosted: free disk space in MB below which uploads are refused with 507, so that deletes "
        "and images in progress still work. 0: off.",
    )
    max_spool_mb: int = Field(
        default=1024, ge=1, description="Temporary space in MB for all uploads in progress; more are refused with 503."
    )
    max_waiting: int = Field(
        default=1000,
        ge=0,
        description="Limit of requests that wait (`?wait=`) at the same time; others are answered immediately.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Minimum severity of log lines."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto",
        description="`text` for people, `json` for programs; `auto`: `text` in a terminal, otherwise `json`.",
    )
    service: str = Field(
        default="darkroom",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="Name of this installation in log lines and, on AWS, in metrics.",
    )

    @property
    def visibility(self) -> Visibility:
        """Visibility of new images."""
        if self.default_visibility is not None:
            return self.default_visibility
        return Visibility.PUBLIC if self.auth == "none" else Visibility.PRIVATE

    @property
    def on_demand_mode(self) -> OnDemand:
        """Mode of sizes on demand."""
        return self.on_demand or (OnDemand.SNAP if self.self_hosted else OnDemand.OFF)
