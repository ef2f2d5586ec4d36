"""The server's image: what is in it, and that it keeps its promises when it is killed, restarted, full or read-only."""

import json
import os
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images_built.podman import inspect, mounted, podman
from tests.images_built.server_image import CONFINED, IMAGE, ServerContainer, refused, server_container, volume
from tests.repository.test_served import run_in_shell, shell_blocks
from tests.repository.tree import ROOT
from tests.running_server import processed, wait_for
from tests.samples import encoded

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("built")]

KEYLESS = {"DARKROOM_ALLOW_ANONYMOUS": "true"}


@pytest.fixture
def data() -> Iterator[str]:
    with volume() as option:
        yield option


def send(container: ServerContainer, seed: int) -> Any:
    content = encoded("JPEG", 800, 600, seed=seed)
    answer = container.client.post("/upload", files={"file": ("photo.jpg", content, "image/jpeg")})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def upload(container: ServerContainer, seed: int) -> Any:
    """Send an image; return its record when it is processed."""
    return processed(container.client, send(container, seed))


def test_an_upload_becomes_variants_as_an_unprivileged_user_on_a_read_only_root(data: str) -> None:
    with server_container(data=data, **KEYLESS) as container:
        record = upload(container, 1)
        assert record["status"] == "ready"
        for variant in record["variants"]:
            assert len(container.client.get(variant["url"]).content) == variant["bytes"]
        assert container.client.get("/readyz").status_code == 200
        assert container.client.get("/docs").status_code == 200
        assert container.run("id", "-u").stdout.strip() == "10001"
        assert container.run("touch", "/srv/darkroom/app/new").returncode != 0
        assert container.run("darkroom", "--version").stdout.split()[0] == "darkroom"
        assert container.run("python", "-m", "app.container.healthcheck").returncode == 0
        assert container.run("darkroom", "reconcile").returncode == 0


def test_the_commands_of_the_readme_work_with_it(data: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded("JPEG", 1600, 1200, seed=77))
    with server_container(data=data, **KEYLESS) as container:
        upload(container, 76)  # the worker has started: their `?wait=20` is for the image alone
        for block in shell_blocks():
            run_in_shell(block, tmp_path, f"http://127.0.0.1:{container.port}")


def test_stop_ends_in_order_and_a_restart_has_everything(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    with server_container(data=data, **KEYLESS) as container:
        record = upload(container, 2)
        seconds = container.stop()
        assert container.state["ExitCode"] == 0, container.log
        container.restart()
        assert container.client.get(f"/images/{record['id']}").json()["status"] == "ready"
    with capsys.disabled():
        print(f"\nthe server's container stopped in {seconds:.1f} s")


def test_acknowledged_uploads_outlive_a_kill(data: str) -> None:
    with server_container(data=data, **KEYLESS) as container:
        sent = [send(container, seed) for seed in range(10, 16)]
        container.kill()
        container.restart()
        for record in sent:
            assert processed(container.client, record)["status"] == "ready"


def test_process_one_reaps_orphans(data: str) -> None:
    with server_container(data=data, **KEYLESS) as container:
        orphan = "import os, time\nchild = os.fork()\nprint(child) if child else time.sleep(0.2)\n"
        done = container.run("python", "-c", orphan)
        assert done.returncode == 0
        there = f"/proc/{done.stdout.strip()}"  # until somebody has waited for it
        wait_for(lambda: container.run("test", "-e", there).returncode == 1, 60)
        assert upload(container, 3)["status"] == "ready"


def test_a_bind_mount_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4321)
    with server_container("--user=4321:4321", data=f"--volume={tmp_path}:/data", **KEYLESS) as container:
        assert upload(container, 4)["status"] == "ready"
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {4321}


def test_a_full_disk_refuses_uploads_and_allows_deletes() -> None:
    small = "--tmpfs=/data:rw,size=24m,mode=0700,U"
    with server_container("--user=0:0", data=small, DARKROOM_MIN_FREE_MB="8", **KEYLESS) as container:
        known = [upload(container, seed)["id"] for seed in range(20, 22)]
        fill = "open('/data/filler', 'wb').write(bytes(14 * 2**20))"
        assert container.run("python", "-c", fill).returncode == 0
        answer = container.client.post("/upload", files={"file": ("a.jpg", encoded(seed=23), "image/jpeg")})
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        for image_id in known:
            assert container.client.delete(f"/images/{image_id}").status_code == 204
        assert container.run("rm", "/data/filler").returncode == 0
        assert upload(container, 23)["status"] == "ready"


def newer_database(folder: Path) -> None:
    with sqlite3.connect(folder / "darkroom.db") as database:
        database.execute("PRAGMA user_version = 999999")
    database.close()
    for path in (folder, folder / "darkroom.db"):
        os.chown(path, 10001, 10001)


REFUSED: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "no consent to callers without keys": ((), {"DARKROOM_HOST": "0.0.0.0"}, "DARKROOM_ALLOW_ANONYMOUS"),
    "a host that is no address": ((), {"DARKROOM_HOST": "no address"}, "DARKROOM_HOST"),
    "a port that is none": ((), {"DARKROOM_PORT": "99999"}, "DARKROOM_PORT"),
    "an unknown setting": ((), {"DARKROOM_TYPO": "1"}, "DARKROOM_TYPO"),
    "a data folder of another user": (("--user=9999:9999",), {}, "DARKROOM_STORAGE_URL"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_start_that_cannot_be_is_refused_with_a_sentence(why: str, data: str) -> None:
    options, settings, words = REFUSED[why]
    code, said = refused(*options, data=data, **settings)
    assert code == 2, said
    assert words in said
    assert "Traceback" not in said


def test_a_read_only_volume_is_refused_with_a_sentence(tmp_path: Path) -> None:
    os.chown(tmp_path, 10001, 10001)
    code, said = refused(data=f"--volume={tmp_path}:/data:ro", **KEYLESS)
    assert (code, "DARKROOM_STORAGE_URL" in said, "Traceback" in said) == (2, True, False), said


def test_a_newer_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    newer_database(tmp_path)
    code, said = refused(data=f"--volume={tmp_path}:/data", **KEYLESS)
    assert (code, "Traceback" in said) == (2, False), said
    assert "newer" in said


def test_a_port_in_use_is_refused_with_a_sentence(data: str) -> None:
    with server_container(data=data, **KEYLESS) as first, volume() as other:
        code, said = refused(data=other, DARKROOM_PORT=str(first.port), **KEYLESS)
    assert (code, "Traceback" in said) == (2, False), said
    assert str(first.port) in said


def test_its_configuration() -> None:
    config = inspect(IMAGE)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", "app.container.init"]
    assert list(config["Volumes"]) == ["/data"]
    assert not any("SECRET" in each or "KEY" in each for each in config["Env"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert config["Labels"]["org.opencontainers.image.version"] == version


def test_it_has_no_module_of_the_functions_and_nothing_is_writable(built: None) -> None:
    with mounted(IMAGE) as root:
        app = root / "srv" / "darkroom" / "app"
        names = {path.name for path in app.rglob("*.py")}
        assert {"main.py", "init.py", "healthcheck.py"} <= names
        assert not any(name.startswith("lambda_") for name in names)
        packages = {path.name for path in (root / "srv" / "darkroom" / "packages").iterdir()}
        assert packages >= {"fastapi", "uvicorn", "PIL", "pillow_heif"}
        assert packages & {"boto3", "botocore", "aws_lambda_powertools", "pytest", "mangum"} == set()
        writable = [path for path in (root / "srv").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
        assert writable == []


def test_compose_runs_it_as_these_tests_do() -> None:
    """compose.yaml as options of podman: those that the tests use are those of the service."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["darkroom"]
    assert service["build"] == {"context": ".", "target": "server"}
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    said = {
        "--read-only" if service["read_only"] else "",
        *(f"--tmpfs={path}" for path in service["tmpfs"]),
        *(f"--cap-drop={capability.lower()}" for capability in service["cap_drop"]),
        *(f"--security-opt={option.removesuffix(':true')}" for option in service["security_opt"]),
    }
    assert said == set(CONFINED) - {"--pull=never"}
    assert service["environment"] == KEYLESS


def test_its_health_check_is_known_to_docker() -> None:
    """The image format of podman has no place for it, so the Dockerfile is asked."""
    text = (ROOT / "Dockerfile").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("HEALTHCHECK")]
    assert json.loads(line.partition(" CMD ")[2]) == ["python", "-m", "app.container.healthcheck"]


def test_it_starts_under_another_init(data: str) -> None:
    """With `--init` this program is not process 1, and becomes the server itself."""
    container = ServerContainer(data=data, **KEYLESS)
    script = "import os, sys; os.execvp('python', ['python', '-m', 'app.container.init'])"
    command = [each for each in container.command if each != "--detach"]
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {script!r}]).returncode)"
    try:
        podman(*command[:1], "--detach", *command[1:], "--entrypoint=python", IMAGE, "-c", parent)
        container.wait()
        assert upload(container, 5)["status"] == "ready"
    finally:
        container.client.close()
        podman("rm", "--force", "--time=0", container.name, check=False)
