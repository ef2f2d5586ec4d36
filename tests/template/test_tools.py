"""The usual tools report nothing about the template."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.repository.tree import AWS, ROOT
from tests.template.conftest import CHECKOV, KEYS, SAM
from tests.template.reading import PATH, Stack, source

pytestmark = pytest.mark.template


def run(*command: object) -> subprocess.CompletedProcess[str]:
    if not SAM.exists() or not CHECKOV.exists():
        pytest.skip("the template's tools are not installed here: `make test-template` installs them")
    return subprocess.run(
        [str(part) for part in command],
        env={
            **os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1",
            "PATH": f"{SAM}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
        },
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_cfn_lint_has_nothing_to_say_at_its_strictest() -> None:
    judged = run(SAM / "cfn-lint", "--include-checks", "I", "--regions", "eu-west-1", "us-east-1", "--", PATH)
    assert (judged.returncode, judged.stdout) == (0, "")


def test_sam_takes_it() -> None:
    judged = run(SAM / "sam", "validate", "--lint", "--template", PATH)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run checkov on the template with every optional part: it ignores resources with a condition."""
    whole = tmp_path_factory.mktemp("whole") / PATH.name
    whole.write_text(re.sub(r"^    Condition: \w+\n", "", PATH.read_text(), flags=re.MULTILINE))
    command = ("--file", whole, "--framework", "cloudformation", "--output", "json", "--compact", "--skip-download")
    return json.loads(run(CHECKOV, *command).stdout)["results"]


def test_checkov_finds_nothing_that_is_not_answered(checked: Any) -> None:
    assert [(check["check_id"], check["resource"]) for check in checked["failed_checks"]] == []
    assert len(checked["passed_checks"]) > 40
    assert checked["parsing_errors"] == []


def test_every_answer_is_to_a_check_and_gives_its_reason(checked: Any) -> None:
    asked = {(check["check_id"], check["resource"].rpartition(".")[2]) for check in checked["skipped_checks"]}
    answers = {
        (skip["id"], name): skip["comment"]
        for name, resource in source()["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    assert set(answers) == asked
    assert all(len(reason) > 40 for reason in answers.values())


_BUILT = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

def architectures(command):
    given = SamConfig(sys.argv[1]).get_all([command], "parameters").get("parameter_overrides", "")
    overrides = CfnParameterOverridesType().convert(given, None, None)
    stacks, _ = SamLocalStackProvider.get_stacks(sys.argv[2], parameter_overrides=overrides)
    return sorted({one for function in SamFunctionProvider(stacks).get_all() for one in function.architectures})

print(json.dumps({command: architectures(command) for command in ("build", "deploy")}))
"""


@pytest.mark.parametrize(("page_followed", "architecture"), [(False, "x86_64"), (True, "arm64")])
def test_the_images_are_built_for_the_processor_that_they_are_deployed_to(
    page_followed: bool, architecture: str, tmp_path: Path
) -> None:
    """`sam build` comes before the questions of `sam deploy --guided`, and knows what samconfig.toml says alone."""
    config = (ROOT / "samconfig.toml").read_text()
    if page_followed:
        (line,) = re.findall(r"```toml\n(parameter_overrides = .+)\n```", AWS)
        config = re.sub(r"^(stack_name = .+)$", rf"\1\n{line}", config, flags=re.MULTILINE)
    (tmp_path / "samconfig.toml").write_text(config)
    told = json.loads(run(SAM / "python", "-c", _BUILT, tmp_path, PATH).stdout)
    assert told == {"build": [architecture], "deploy": [architecture]}


OLD = "o" * 64
_OVERRIDDEN = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType

print(json.dumps(CfnParameterOverridesType().convert(tuple(sys.argv[1:]), None, None)))
"""


def test_the_pages_ways_to_more_keys_and_to_none_are_ways() -> None:
    """Read the parameters as SAM does; `--guided` accepts no empty answer for a hidden parameter."""
    first, second = KEYS.split(",")
    said = [
        shlex.split(line, comments=True)[3:]
        for line in re.findall(r"^sam deploy --parameter-overrides .+$", AWS, re.MULTILINE)
    ]
    given = [
        json.loads(run(SAM / "python", "-c", _OVERRIDDEN, *(
            word.replace("$ENTRY", first).replace("$ANOTHER", second).replace("$old", OLD) for word in words
        )).stdout)
        for words in said
    ]  # fmt: skip
    keys, anonymous = {"ApiKeys": KEYS}, {"AllowAnonymous": "true"}
    assert given == [keys, anonymous, {**anonymous, "ApiKeys": ""}, {"PreviousSigningSecret": OLD}]
    for deployed, overrides in zip(({"ApiKeys": first}, {}, *[{"ApiKeys": first}] * 2), given, strict=True):
        assert Stack(source(), **(deployed | overrides)).refusals() == []


def test_the_configuration_has_all_that_the_first_deployment_needs() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    parameters = config["deploy"]["parameters"]
    assert parameters["capabilities"] == "CAPABILITY_IAM"
    assert parameters["resolve_image_repos"] is True
    assert parameters["resolve_s3"] is True
    assert parameters["confirm_changeset"] is False, "its question is answered no by Enter, and docs/aws.md says Enter"
    assert config["global"]["parameters"]["stack_name"] == "darkroom"
