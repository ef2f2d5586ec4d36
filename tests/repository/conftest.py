"""OpenAPI document for tests that compare pages with it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from app.domain.configuration.complaints import PREFIX
from tests.repository.tree import ROOT

_OPENAPI = "import json; from app import main, settings; print(json.dumps(main.build(settings.load()).openapi()))"


@pytest.fixture(scope="session")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the document that the entry point serves."""
    data = tmp_path_factory.mktemp("openapi")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    urls = {"DARKROOM_STORAGE_URL": f"file:{data}", "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db"}
    run = subprocess.run(
        [sys.executable, "-c", _OPENAPI],
        env=kept | urls, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(run.stdout)
