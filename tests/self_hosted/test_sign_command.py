"""`darkroom sign`, and the signer of the documentation: the server accepts what they sign."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from app.bootstrap import build_signer
from app.domain.sizes.query import parse_query
from app.domain.sizes.signatures import SizeSignatures
from app.settings import load
from darkroom.cli.command import cli
from tests.repository.tree import ROOT

ID = "01a21211-8a9b-7bc8-801b-cadcca2023b7"
SIZES = (
    {"width": 500, "height": 200, "fit": "cover", "fm": "webp"},
    {"width": 641},
    {"height": 99, "quality": 33, "fm": "png"},
    {"width": 7, "height": 9, "fm": "jpeg"},
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{tmp_path}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{tmp_path}/darkroom.db")

    def ran(*arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(cli, ["sign", *arguments])
        assert done.exit_code == status, done.output
        return done.output.strip()

    return ran


def accepts(url: str) -> bool:
    """Return True if the server would accept the signature of the url."""
    parameters = parse_qsl(urlsplit(url).query)
    signatures = SizeSignatures(build_signer(load()))
    image_id = urlsplit(url).path.rpartition("/")[2]
    return signatures.verify(image_id, parse_query(parameters).text, dict(parameters)["s"])


def block(language: str) -> str:
    """Return the code of the documentation in this language."""
    (found,) = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "docs" / "sizes.md").read_text(), re.DOTALL | re.MULTILINE
    )
    return str(found)


def test_the_command_signs(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    url = run(ID, "--width", "500", "--height", "200", "--fit", "cover", "--format", "webp")
    assert url.startswith(f"/i/{ID}?w=500&h=200&fit=cover&fm=webp&q=75&s=")
    assert accepts(url)
    assert not accepts(url.replace("500", "501"))
    monkeypatch.setenv("DARKROOM_PUBLIC_URL", "https://img.example.org/pics")
    assert accepts(run(ID, "--height", "9", "--quality", "33"))
    assert run(ID, "--width", "9").startswith(f"https://img.example.org/pics/i/{ID}?w=9&")


def test_the_signer_of_the_documentation(run: Callable[..., str]) -> None:
    key = run("--key")
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    names: dict[str, Callable[..., str]] = {}
    exec(block("python"), names)
    in_python = [names["size_url"]("https://img.example.org", key, ID, **size) for size in SIZES]
    assert all(map(accepts, in_python))
    assert len({*in_python}) == len(SIZES)


@pytest.mark.parametrize(
    "arguments",
    ["", "no-id --width 5", f"{ID}", f"{ID} --key", f"{ID} --width 0", f"{ID} --width 5 --fit cover",
     f"{ID} --width 5 --format gif", f"{ID} --width 5 --quality 101"],
)  # fmt: skip
def test_wrong_arguments(run: Callable[..., str], arguments: str) -> None:
    assert "Invalid value" in run(*arguments.split(), status=2)
