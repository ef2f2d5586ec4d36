"""Types of the modules for pages of other sites, as TypeScript sees them."""

import shutil
from pathlib import Path

import pytest

from app.api.routes.pages import PUBLIC_MODULES
from tests.openapi.test_tools import HERE, MODULES, run
from tests.repository.tree import ROOT

pytestmark = [
    pytest.mark.openapi,
    pytest.mark.skipif(not MODULES.is_dir(), reason="the tools are not installed here: `make test-openapi` does it"),
]


def test_a_page_compiles_with_the_types(tmp_path: Path) -> None:
    """Compile right uses, and wrong ones that are marked as errors."""
    (tmp_path / "static").mkdir()
    for name in PUBLIC_MODULES:
        shutil.copy(ROOT / "app" / "api" / "static" / f"{name}.d.ts", tmp_path / "static")
    for name in ("page.ts", "tsconfig.json"):
        shutil.copy(HERE / "page" / name, tmp_path)
    run(tmp_path, "tsc", "-p", ".")
