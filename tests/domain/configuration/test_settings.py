"""Settings that make no sense stop the start, all of them named at once."""

from pathlib import Path

import pytest

from app.domain.configuration.complaints import RENAMED
from app.domain.errors import ConfigurationError
from app.domain.models import Visibility
from app.domain.sizes.offer import WIDTHS, OnDemand
from app.settings import Settings, load

HASH = "0123456789abcdef" * 4


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load()


def test_with_no_variable_set_everything_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    assert settings.self_hosted
    assert settings.data_folder.name == "data"
    assert settings.database_file == settings.data_folder / "darkroom.db"


@pytest.mark.parametrize("folder", ["/srv/images", "/srv/images/", "images"])
def test_the_database_is_in_the_data_folder_unless_it_is_set(folder: str) -> None:
    settings = load({"DARKROOM_STORAGE_URL": f"file:{folder}"})
    assert settings.database_file == settings.data_folder / "darkroom.db"
    given = {"DARKROOM_STORAGE_URL": f"file:{folder}", "DARKROOM_DATABASE_URL": "sqlite:/var/records.db"}
    assert load(given).database_file == Path("/var/records.db")
    assert load({}).database_file == load({}).data_folder / "darkroom.db"


def test_the_aws_side_needs_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = {"DARKROOM_STORAGE_URL": "s3://pictures", "DARKROOM_DATABASE_URL": "dynamodb://Records"}
    with pytest.raises(ConfigurationError, match="DARKROOM_QUEUE_URL"):
        read(monkeypatch, **aws)
    settings = read(monkeypatch, **aws, DARKROOM_QUEUE_URL="https://sqs.example.org/1/q")
    assert (settings.bucket, settings.table, settings.self_hosted) == ("pictures", "Records", False)


@pytest.mark.parametrize(("text", "rate"), [("0", 0), ("0.1", 0.1), ("5", 5), ("10000", 10_000)])
def test_a_rate_limit_is_requests_a_second(monkeypatch: pytest.MonkeyPatch, text: str, rate: float) -> None:
    assert read(monkeypatch, DARKROOM_RATE_LIMIT=text).rate_limit == rate


@pytest.mark.parametrize("text", ["-1", "0.05", "10001", "nan", "inf", "5/s"])
def test_other_rate_limits_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ConfigurationError, match="DARKROOM_RATE_LIMIT: must be"):
        read(monkeypatch, DARKROOM_RATE_LIMIT=text)


def test_sizes_on_demand_are_on_where_a_worker_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    assert (settings.on_demand_mode, settings.on_demand_widths, settings.on_demand_ratios) == (
        OnDemand.SNAP, WIDTHS, ("1:1",),
    )  # fmt: skip
    lists = {"DARKROOM_ON_DEMAND_WIDTHS": "640, 320", "DARKROOM_ON_DEMAND_RATIOS": "none"}
    settings = read(monkeypatch, **lists, DARKROOM_ON_DEMAND="signed")
    assert (settings.on_demand_mode, settings.on_demand_widths, settings.on_demand_ratios) == (
        OnDemand.SIGNED, (320, 640), (),
    )  # fmt: skip
    monkeypatch.delenv("DARKROOM_ON_DEMAND")
    aws = {"DARKROOM_STORAGE_URL": "s3://images", "DARKROOM_DATABASE_URL": "dynamodb://Records"}
    assert read(monkeypatch, **aws, DARKROOM_QUEUE_URL="https://sqs.example.org/1/q").on_demand_mode is OnDemand.OFF


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Visibility.PUBLIC),
        ({"DARKROOM_AUTH": "required"}, Visibility.PRIVATE),
        ({"DARKROOM_DEFAULT_VISIBILITY": "private"}, Visibility.PRIVATE),
        ({"DARKROOM_AUTH": "required", "DARKROOM_DEFAULT_VISIBILITY": "public"}, Visibility.PUBLIC),
    ],
)
def test_new_images_are_public_without_keys_and_private_with_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Visibility
) -> None:
    assert read(monkeypatch, **variables).visibility is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARKROOM_ON_DEMAND", "on"),
        ("DARKROOM_ON_DEMAND_WIDTHS", "320,wide"),
        ("DARKROOM_ON_DEMAND_RATIOS", "16/9"),
        ("DARKROOM_MAX_PIXELS", "0"),
        ("DARKROOM_MAX_PIXELS", "many"),
        ("DARKROOM_ACCEPTED_TYPES", "image/svg+xml"),
        ("DARKROOM_ACCEPTED_TYPES", ","),
        ("DARKROOM_MAX_PIXELS", "1e6"),
        ("DARKROOM_PROCESSING_TIMEOUT_SECONDS", "nan"),
        ("DARKROOM_PROCESSING_TIMEOUT_SECONDS", "inf"),
        ("DARKROOM_ALLOW_ANONYMOUS", "perhaps"),
        ("DARKROOM_ALLOW_PRIVATE_ADDRESSES", "perhaps"),
        ("DARKROOM_SERVICE", "my service"),
        ("DARKROOM_PUBLIC_URL", "img.example.org"),
        ("DARKROOM_PUBLIC_URL", "https://"),
        ("DARKROOM_PUBLIC_URL", "https://img.example.org/?a=b"),
        ("DARKROOM_CDN_URL", "d1.cloudfront.net"),
        ("DARKROOM_CDN_URL", "https://d1.cloudfront.net"),
        ("DARKROOM_SECRET", "short"),
        ("DARKROOM_PREVIOUS_SECRET", "short"),
        ("DARKROOM_SIGNED_URL_SECONDS", "59"),
        ("DARKROOM_SIGNED_URL_SECONDS", "604801"),
        ("DARKROOM_TRASH_DAYS", "-1"),
        ("DARKROOM_TRASH_DAYS", "3651"),
        ("DARKROOM_TRASH_DAYS", "1.5"),
        ("DARKROOM_DEFAULT_VISIBILITY", "hidden"),
        ("DARKROOM_RECIPE", "{"),
        ("DARKROOM_RECIPE", '{"variants": []}'),
        ("DARKROOM_RECIPE", "[]"),
        ("DARKROOM_RECIPE", "[" * 100_000),
        ("DARKROOM_STORAGE_URL", "s3://bucket"),
        ("DARKROOM_DATABASE_URL", "dynamodb://ImageMetadata"),
        ("DARKROOM_STORAGE_URL", "ftp://somewhere"),
        ("DARKROOM_STORAGE_URL", "file:"),
        ("DARKROOM_STORAGE_URL", "file://data"),
        ("DARKROOM_STORAGE_URL", "file:~/data"),
        ("DARKROOM_DATABASE_URL", "sqlite:"),
        ("DARKROOM_DATABASE_URL", "sqlite::memory:"),
        ("DARKROOM_DATABASE_URL", "sqlite://host/darkroom.db"),
        ("DARKROOM_DATABASE_URL", "sqlite:./data/"),
        ("DARKROOM_DATABASE_URL", "postgres://db/images"),
        ("DARKROOM_QUEUE_URL", "https://sqs.example.org/1/q"),
        ("DARKROOM_PROCESSING_TIMEOUT_SECONDS", "-1"),
        ("DARKROOM_MAX_UPLOADBYTES", "7"),
        ("DARKROOM_LOG_LEVEL", "LOUD"),
        ("DARKROOM_AUTH", "optional"),
        ("DARKROOM_API_KEYS", "ann"),
        ("DARKROOM_API_KEYS", "ann:read:beef"),
        ("DARKROOM_API_KEYS", f"ann:write:{HASH}"),
        ("DARKROOM_API_KEYS", f"anonymous:read:{HASH}"),
        ("DARKROOM_API_KEYS", f"ann:read:{HASH},bob:read:{HASH}"),
        ("DARKROOM_PUBLIC_URL", "https://img.example.org/a//b"),
        ("DARKROOM_HOST", "http://nas.local"),
        ("DARKROOM_HOST", "nas.local:8000"),
        ("DARKROOM_HOST", "[::1"),
        ("DARKROOM_PORT", "65536"),
        ("DARKROOM_PORT", "http"),
        ("DARKROOM_ALLOWED_HOSTS", "nas.local, http://b.example"),
        ("DARKROOM_ALLOWED_HOSTS", "a*"),
        ("DARKROOM_TRUSTED_PROXIES", "127.0.0.1, traefik"),
        ("DARKROOM_TRUSTED_PROXIES", "10.0.0.0/40"),
        ("DARKROOM_TRUSTED_PROXIES", "*"),
        ("DARKROOM_CORS_ORIGINS", "*"),
        ("DARKROOM_CORS_ORIGINS", "null"),
        ("DARKROOM_CORS_ORIGINS", "www.example.org"),
        ("DARKROOM_CORS_ORIGINS", "https://www.example.org/gallery"),
        ("DARKROOM_CORS_ORIGINS", "https://www.example.org, https://*.example.org"),
    ],
)
def test_nonsense_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        read(monkeypatch, **{name: value})


ON_AWS = {
    "DARKROOM_STORAGE_URL": "s3://pictures",
    "DARKROOM_DATABASE_URL": "dynamodb://Records",
    "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARKROOM_STORAGE_URL", "s3:pictures"),
        ("DARKROOM_STORAGE_URL", "s3:/pictures"),
        ("DARKROOM_STORAGE_URL", "s3://"),
        ("DARKROOM_STORAGE_URL", "s3:///pictures"),
        ("DARKROOM_STORAGE_URL", "s3://pictures/prefix"),
        ("DARKROOM_STORAGE_URL", "s3://pictures?region=eu-west-1"),
        ("DARKROOM_STORAGE_URL", "s3://My_Pictures"),
        ("DARKROOM_STORAGE_URL", "s3://ab"),
        ("DARKROOM_STORAGE_URL", "s3://arn:aws:s3:::pictures"),
        ("DARKROOM_STORAGE_URL", "https://pictures.s3.amazonaws.com"),
        ("DARKROOM_DATABASE_URL", "dynamodb:Records"),
        ("DARKROOM_DATABASE_URL", "dynamodb://Re"),
        ("DARKROOM_DATABASE_URL", "dynamodb://Records/index"),
        ("DARKROOM_DATABASE_URL", "dynamodb://eu-west-1:Records"),
        ("DARKROOM_QUEUE_URL", "pictures"),
        ("DARKROOM_QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:pictures"),
        ("DARKROOM_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/"),
        ("DARKROOM_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures.fifo"),
        ("DARKROOM_CDN_URL", "d1.cloudfront.net"),
        ("DARKROOM_CDN_DISTRIBUTION", "https://d1.cloudfront.net"),
    ],
)
def test_values_that_aws_would_refuse_are_refused_at_the_start(name: str, value: str) -> None:
    load(ON_AWS)
    with pytest.raises(ConfigurationError) as refusal:
        load(ON_AWS | {name: value})
    (line,) = str(refusal.value).splitlines()[1:]
    assert line.strip().startswith(f"{name}: must ")


@pytest.mark.parametrize(
    ("url", "folder"),
    [("file:./images", "images"), ("file:images", "images"), ("file:/srv/x", "/srv/x"), ("file:///srv/x", "/srv/x")],
)
def test_a_folder_is_a_path_after_the_scheme(url: str, folder: str) -> None:
    assert load({"DARKROOM_STORAGE_URL": url}).data_folder == Path(folder).absolute()
    assert load({"DARKROOM_DATABASE_URL": f"sqlite{url[4:]}/x.db"}).database_file == Path(folder, "x.db").absolute()


def test_a_distribution_needs_its_address() -> None:
    distribution = ON_AWS | {"DARKROOM_CDN_DISTRIBUTION": "E1PA6795UKMFR9"}
    with pytest.raises(ConfigurationError, match="DARKROOM_CDN_DISTRIBUTION: only with DARKROOM_CDN_URL"):
        load(distribution)
    assert load(distribution | {"DARKROOM_CDN_URL": "https://d1.cloudfront.net"}).cdn_distribution == "E1PA6795UKMFR9"


def test_a_slash_after_the_bucket_is_dropped() -> None:
    assert load(ON_AWS | {"DARKROOM_STORAGE_URL": "s3://pictures/"}).bucket == "pictures"


def test_the_mapping_decides_and_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_MAX_FRAMES", "7")
    monkeypatch.setenv("DARKROOM_TYPO", "7")
    settings = load({"DARKROOM_MAX_PIXELS": "1000", "DARKROOM_RECIPE": '{"variants": [{"name": "a", "width": 9}]}'})
    assert (settings.max_pixels, settings.max_frames) == (1000, 60)
    assert settings.recipe.variants[0].width == 9
    with pytest.raises(ConfigurationError, match="DARKROOM_MAX_PIXELS"):
        load({"DARKROOM_MAX_PIXELS": "0"})


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_an_empty_variable_is_an_unset_one(blank: str) -> None:
    """Compose and `.env` files have empty variables for what is left at its default."""
    everything = {f"DARKROOM_{name.upper()}": blank for name in Settings.model_fields}
    assert load(everything | {"DARKROOM_TYPO": blank, "DARKROOM_API_KEY": blank}) == load({})


def test_complaints_about_fields_and_about_what_does_not_go_together_come_at_once() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(
            {
                "DARKROOM_DATABASE_URL": "dynamodb://Records",
                "DARKROOM_CDN_URL": "https://d1.example.org",
                "DARKROOM_API_KEYS": f"ann:read:{HASH}",
                "DARKROOM_HOST": "0.0.0.0",
                "DARKROOM_PORT": "x",
                "DARKROOM_MAX_SPOOL_MB": "1",
                "DARKROOM_MAX_UPLOAD_BYTE": "1",
            }
        )
    lines = [line.strip() for line in str(refusal.value).splitlines()[1:]]
    assert [line.partition(":")[0].partition(" ")[0] for line in lines] == [
        "DARKROOM_MAX_UPLOAD_BYTE", "DARKROOM_PORT", "DARKROOM_STORAGE_URL", "DARKROOM_CDN_URL",
        "DARKROOM_MAX_SPOOL_MB", "DARKROOM_AUTH", "DARKROOM_HOST",
    ]  # fmt: skip
    assert "did you mean DARKROOM_MAX_UPLOAD_BYTES?" in lines[0]
    assert lines[1] == "DARKROOM_PORT: must be a whole number (found: 'x')"


def test_a_name_that_is_like_no_other_has_no_suggestion() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load({"DARKROOM_FOO": "1"})
    assert str(refusal.value).endswith("DARKROOM_FOO: unknown setting")


def test_nothing_follows_from_a_field_that_is_wrong() -> None:
    """A host that is none cannot be reached from elsewhere either, and a store that is none goes with nothing."""
    with pytest.raises(ConfigurationError) as refusal:
        load(
            {
                "DARKROOM_HOST": "http://nas.local",
                "DARKROOM_STORAGE_URL": "s3:x",
                "DARKROOM_CDN_URL": "https://a.example",
            }
        )
    lines = [line.strip().partition(":")[0] for line in str(refusal.value).splitlines()[1:]]
    assert lines == ["DARKROOM_STORAGE_URL", "DARKROOM_HOST"]


def test_keys_ask_for_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="DARKROOM_AUTH: must be `required`"):
        read(monkeypatch, DARKROOM_AUTH="none", DARKROOM_API_KEYS=f"ann:read:{HASH}")
    settings = read(monkeypatch, DARKROOM_AUTH="required")
    assert [key.owner for key in settings.api_keys] == ["ann"]


def test_all_complaints_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(monkeypatch, DARKROOM_MAX_PIXELS="0", DARKROOM_SECRET="x", DARKROOM_TYPO="1")
    for name in ("DARKROOM_MAX_PIXELS", "DARKROOM_SECRET", "DARKROOM_TYPO"):
        assert name in str(refusal.value)


def test_a_variant_that_is_none_is_complained_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(monkeypatch, DARKROOM_RECIPE='{"variants": [{"name": "w9", "width": 0}]}', DARKROOM_MAX_PIXELS="0")
    said = [line.split(":")[0].strip() for line in str(refusal.value).splitlines()[1:]]
    assert said == ["DARKROOM_MAX_PIXELS", "DARKROOM_RECIPE.variants.0.width"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARKROOM_SECRET", "hunter2"),
        ("DARKROOM_API_KEYS", "hunter2"),
        ("DARKROOM_STORAGE_URL", "ftp://ann:hunter2@b.example"),
        ("DARKROOM_DATABASE_URL", "postgres://ann:hunter2@b.example/db"),
        ("DARKROOM_QUEUE_URL", "https://ann:hunter2@b.example/1/q"),
        ("DARKROOM_PUBLIC_URL", "https://ann:hunter2@img.example.org"),
        ("DARKROOM_CORS_ORIGINS", "https://a.example,https://ann:hunter2@b.example"),
        ("DARKROOM_ALLOWED_HOSTS", "a.example,https://ann:hunter2@b.example"),
        ("DARKROOM_TRUSTED_PROXIES", "127.0.0.1,https://ann:hunter2@b.example"),
    ],
)
def test_a_refused_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refusal:
        read(monkeypatch, **{name: value})
    assert "hunter2" not in str(refusal.value)


def test_addresses_become_what_browsers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        DARKROOM_CORS_ORIGINS="https://WWW.Example.org/, http://localhost:5173, https://www.example.org:443",
        DARKROOM_PUBLIC_URL="HTTPS://Img.Example.org:443/pictures/",
    )
    assert settings.cors_origins == ("https://www.example.org", "http://localhost:5173")
    assert settings.public_url == "https://img.example.org/pictures"


def test_hosts_and_proxies_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        DARKROOM_ALLOWED_HOSTS="NAS.local:8000, .example.org,nas.local,bücher.example, *",
        DARKROOM_TRUSTED_PROXIES="127.0.0.1, 172.16.0.1/12, [::1]",
    )
    assert settings.allowed_hosts == ("nas.local", ".example.org", "xn--bcher-kva.example", "*")
    assert [str(network) for network in settings.trusted_proxies] == ["127.0.0.1/32", "172.16.0.0/12", "::1/128"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "nas.local"])
def test_a_service_without_keys_is_for_this_machine_alone_unless_wanted(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with pytest.raises(ConfigurationError, match="DARKROOM_ALLOW_ANONYMOUS=true"):
        read(monkeypatch, DARKROOM_HOST=host)
    assert read(monkeypatch, DARKROOM_HOST=host, DARKROOM_ALLOW_ANONYMOUS="true").host == host
    keys = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"ann:read:{HASH}"}
    assert read(monkeypatch, DARKROOM_HOST=host, DARKROOM_ALLOW_ANONYMOUS="false", **keys).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_alone_needs_no_consent(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert read(monkeypatch, DARKROOM_HOST=host).host == host


def test_a_memory_budget_holds_one_image_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="DARKROOM_MEMORY_BUDGET_MB: must be at least DARKROOM_PROCESSING_MEM"):
        read(monkeypatch, DARKROOM_MEMORY_BUDGET_MB="1000")
    settings = read(monkeypatch, DARKROOM_MEMORY_BUDGET_MB="1000", DARKROOM_PROCESSING_MEMORY_MB="1000")
    assert settings.memory_budget_mb == 1000


@pytest.mark.parametrize("workers", ["0", "65", "-1", "many"])
def test_a_wrong_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    with pytest.raises(ConfigurationError, match="DARKROOM_WORKERS"):
        read(monkeypatch, DARKROOM_WORKERS=workers)


def test_of_several_origins_the_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigurationError, match=r"DARKROOM_CORS_ORIGINS: '\*' must start with http:// or https://: an"
    ):
        read(monkeypatch, DARKROOM_CORS_ORIGINS="https://a.example,*")


def test_the_clients_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, DARKROOM_URL="http://127.0.0.1:8000", DARKROOM_API_KEY="k")


def test_lists_and_recipes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        DARKROOM_ACCEPTED_TYPES="image/png, image/jpeg",
        DARKROOM_RECIPE='{"variants": [{"name": "big", "width": 2000, "formats": ["avif", "jpeg"]}]}',
    )
    assert settings.accepted_types == ("image/png", "image/jpeg")
    assert settings.recipe.variants[0].name == "big"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_setting_stops_the_start_with_its_new_name(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    assert new.removeprefix("DARKROOM_").lower() in Settings.model_fields
    with pytest.raises(ConfigurationError, match=f"{old}: renamed to {new}$"):
        read(monkeypatch, **{old: "1"})


def test_private_addresses_are_for_self_hosted_installations_only() -> None:
    assert load({"DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true"}).allow_private_addresses is True
    with pytest.raises(ConfigurationError, match="DARKROOM_ALLOW_PRIVATE_ADDRESSES: only with file:"):
        load(ON_AWS | {"DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true"})
