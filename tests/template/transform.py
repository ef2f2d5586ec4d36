"""The template as the SAM translator hands it to CloudFormation."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.template.reading import PATH, REGION

_SCRIPT = """
import json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

class Policies:
    def load(self):
        return {}

template = yaml_parse(open(sys.argv[1]).read())
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["ImageUri"] = sys.argv[2].format(resource["Metadata"]["DockerBuildTarget"])
print(json.dumps(transform(template, {}, Policies())))
"""


def transform(python: Path, image: str) -> dict[str, Any]:
    """Transform the template as `sam deploy` does, by a Python with the translator.

    `image` is the name of an image, with `{}` for its target.
    """
    run = subprocess.run(
        [python, "-c", _SCRIPT, PATH, image],
        env={**os.environ, "AWS_DEFAULT_REGION": REGION}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(run.stdout)
    return found
