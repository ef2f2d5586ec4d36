"""The template's stack in the emulator, and hands to hold it by."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.engines import REGION
from tests.running_server import wait_for
from tests.system.emulator import PYTHON, Emulator
from tests.template.transform import transform

#: The largest template that CloudFormation takes from a bucket. One in a call may have 51,200 bytes.
_LARGEST = 1_000_000
_TEMPLATES = "darkroom-templates"
_SECONDS = 60


@dataclass(frozen=True)
class Stack:
    """A stack that stands. `outputs` are the template's; `ids` the names of its resources, by logical id."""

    emulator: Emulator
    outputs: Mapping[str, str]
    ids: Mapping[str, str]

    def http(self, key: str | None = None) -> httpx.Client:
        """A client of the HTTP API, with an API key if given."""
        api = self.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
        headers = {"Host": f"{api}.execute-api.{self.emulator.host}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return httpx.Client(base_url=self.emulator.endpoint, headers=headers, timeout=60)

    def keys(self, prefix: str = "") -> list[str]:
        """The keys of the objects in the bucket."""
        found = self.emulator.client("s3").list_objects_v2(Bucket=self.outputs["Bucket"], Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def messages(self, queue: str) -> int:
        """Count the messages that wait in `Queue` or `DeadLetters` or are being processed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.emulator.client("sqs")
        found = sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def log(self, group: str) -> list[dict[str, Any]]:
        """The JSON lines of a log group that the template sets up."""
        logs = self.emulator.client("logs")
        lines = [
            line
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=self.ids[group])
            for event in page["events"]
            for line in event["message"].splitlines()
        ]
        return [json.loads(line) for line in lines if line.startswith('{"timestamp"')]

    @contextmanager
    def visibility(self, seconds: int) -> Iterator[None]:
        """Let what was not done come back to the worker after that many seconds, not after the template's minutes."""
        sqs, url = self.emulator.client("sqs"), self.outputs["Queue"]
        before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is delivered to the worker as long as this lasts."""
        functions = self.emulator.client("lambda")
        (mapping,) = functions.list_event_source_mappings(FunctionName=self.outputs["ProcessingFunction"])[
            "EventSourceMappings"
        ]

        def turn(state: str) -> None:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=state == "Enabled")
            wait_for(lambda: functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == state, _SECONDS)

        turn("Disabled")
        try:
            yield
        finally:
            turn("Enabled")


@contextmanager
def stack(emulator: Emulator, parameters: Mapping[str, str]) -> Iterator[Stack]:
    """The template's stack with these parameters. Raises AssertionError when it cannot be set up."""
    body = json.dumps(_adapted(transform(PYTHON, "localhost/darkroom-{}:test")), separators=(",", ":"))
    assert len(body) <= _LARGEST
    formation = emulator.client("cloudformation")
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    store = emulator.client("s3")
    store.create_bucket(Bucket=_TEMPLATES, CreateBucketConfiguration={"LocationConstraint": REGION})
    store.put_object(Bucket=_TEMPLATES, Key="darkroom.json", Body=body.encode())
    made = formation.create_stack(
        StackName="darkroom",
        TemplateURL=f"{emulator.endpoint}/{_TEMPLATES}/darkroom.json",
        Parameters=given,
        Capabilities=["CAPABILITY_IAM"],
    )
    name = made["StackId"]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = formation.describe_stacks(StackName=name)["Stacks"][0]
        return found

    wait_for(lambda: "IN_PROGRESS" not in state()["StackStatus"], _SECONDS)
    found = state()
    events = formation.describe_stack_events(StackName=name)["StackEvents"]
    assert found["StackStatus"] == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    resources = formation.describe_stack_resources(StackName=name)["StackResources"]
    yield Stack(
        emulator,
        {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]},
        {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )
    formation.delete_stack(StackName=name)
    wait_for(lambda: state()["StackStatus"] == "DELETE_COMPLETE", _SECONDS, lambda: str(state()))


def _adapted(template: dict[str, Any]) -> dict[str, Any]:
    """The template with what the emulator takes otherwise than AWS; tests/template judges it as it is."""
    for resource in template["Resources"].values():
        resource.pop("Metadata", None)  # reasons for checkov
        properties = resource.get("Properties", {})
        if resource["Type"] in {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"}:
            # What the resources refuse is to come without TLS, of which there is none here, and a put without
            # If-None-Match, which is not among the conditions that it knows.
            document = properties["PolicyDocument"]
            document["Statement"] = [each for each in document["Statement"] if each.get("Effect") != "Deny"]
        elif resource["Type"] == "AWS::Lambda::EventSourceMapping":
            # It hands numbers on as the text that parameters are.
            resource["Properties"] = _with_numbers(properties, template["Parameters"])
    return template


def _with_numbers(node: Any, parameters: Mapping[str, Any]) -> Any:
    """The node with the defaults of parameters that are numbers in their places."""
    if isinstance(node, list):
        return [_with_numbers(item, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    parameter = parameters.get(node.get("Ref", ""), {})
    if parameter.get("Type") == "Number":
        return int(parameter["Default"])
    return {key: _with_numbers(item, parameters) for key, item in node.items()}
