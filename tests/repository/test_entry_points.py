"""Modules that each entry point loads, in a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.configuration.complaints import PREFIX
from tests.repository.tree import ROOT

DECODERS = {"PIL", "pillow_heif", "thumbhash"}
# The log format is Powertools', which looks at botocore's bare top module.
AWS = {"boto3", "botocore.session", "botocore.client", "s3transfer", "mangum"}
HTTP = {"fastapi", "starlette", "uvicorn", "python_multipart", "fastapi_offline"}
SELF_HOSTED = {"app.adapters.filesystem", "app.adapters.sqlite", "sqlite3"}
TOOLS = {"pytest", "moto", "hypothesis", "httpx", "flit_core"}
# No function needs these, and some functions or most of their requests do not need the others.
NOT_ON_LAMBDA = TOOLS | SELF_HOSTED | {"boto3", "s3transfer", "app.adapters.dynamodb.recount"}
RARE = {
    "app.api.all_routes", "app.api.openapi", "app.api.routes.edits", "app.api.routes.uploads", "app.api.bodies",
    "app.adapters.outbound", "app.domain.sizes.policy",
}  # fmt: skip
OF_THE_API = {"app.api", "app.domain.uploads", "app.adapters.dynamodb.idempotency"}

FORBIDDEN = {
    "app.main": DECODERS | AWS | TOOLS | {"app.worker", "app.cli", "darkroom", "typer"},
    "app.embedded_worker": HTTP | AWS | TOOLS | {"app.api", "app.main", "darkroom", "typer"},
    "darkroom": {"app", "httpx", "typer", "pydantic"},
    "darkroom.cli.command": TOOLS | {"app", "rich.progress", "pydantic"},
    "app.lambda_api": DECODERS | NOT_ON_LAMBDA | RARE | {"uvicorn", "typer", "app.worker", "app.cli", "app.main"},
    # Only its child processes decode.
    "app.lambda_worker": DECODERS | HTTP | NOT_ON_LAMBDA | OF_THE_API | {"mangum", "typer", "app.cli", "app.main"},
    "app.lambda_render": DECODERS | HTTP | NOT_ON_LAMBDA | OF_THE_API | {"mangum", "typer", "app.cli", "app.main"},
    "app.lambda_reconcile": DECODERS | HTTP | NOT_ON_LAMBDA | {"mangum", "app.api", "app.main", "app.worker"},
}
ON_AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDLOCAL1",
    "AWS_SECRET_ACCESS_KEY": "secretsecret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "DARKROOM_STORAGE_URL": "s3://images",
    "DARKROOM_DATABASE_URL": "dynamodb://ImageMetadata",
    "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/images",
    "DARKROOM_SECRET": "a secret of the tests",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}


@pytest.mark.parametrize("entry_point", FORBIDDEN)
@pytest.mark.slow
def test_an_entry_point_loads_only_its_own_side(entry_point: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    urls = {"DARKROOM_STORAGE_URL": f"file:{tmp_path}", "DARKROOM_DATABASE_URL": f"sqlite:{tmp_path}/darkroom.db"}
    settings = ON_AWS if entry_point.startswith("app.lambda_") else urls
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, {entry_point}; print(*sys.modules)"],
        env=kept | settings, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(run.stdout.split())
    assert entry_point in loaded
    assert {
        name for name in loaded if any(name == no or name.startswith(f"{no}.") for no in FORBIDDEN[entry_point])
    } == set()


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert " 0 broken" in run.stdout
