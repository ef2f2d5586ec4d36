"""`template.yaml` as data, its intrinsic functions worked out as CloudFormation works them out."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import yaml

from tests.repository.tree import ROOT

PATH = ROOT / "template.yaml"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
SECRET = "of-the-tests-64-characters-made-by-secrets-manager-for-this-stack"
#: What a list or a mapping loses.
NO_VALUE = object()

_NAMES = {
    "AWS::S3::Bucket": "BucketName", "AWS::DynamoDB::Table": "TableName", "AWS::SQS::Queue": "QueueName",
    "AWS::Logs::LogGroup": "LogGroupName", "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::ApiGatewayV2::DomainName": "DomainName",
}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the one kind that is left
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)  # type: ignore[no-untyped-call]  # PyYAML has no types of its own


@cache
def source() -> dict[str, Any]:
    """The file itself, what its Globals say put into each function."""
    found: dict[str, Any] = yaml.load(PATH.read_text(), _Loader)
    shared = found.pop("Globals")["Function"]
    for resource in found["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"] = _merged(shared, resource["Properties"])
    return found


def _merged(shared: Any, own: Any) -> Any:
    """Merge as SAM does: mappings recursively; for everything else the function's own value wins."""
    if not (isinstance(shared, dict) and isinstance(own, dict)):
        return own
    both = {key: _merged(shared[key], own[key]) for key in shared.keys() & own.keys()}
    return {**shared, **own, **both}


class Stack:
    """The template with parameters: conditions decided, every intrinsic worked out.

    `template` is `source()` or what the SAM translator makes of it. What only AWS knows (generated names, ARNs) is
    made up in its proper form, a different one for each `name`.
    """

    def __init__(self, template: Mapping[str, Any], name: str = "darkroom", **parameters: str) -> None:
        declared = template["Parameters"]
        assert parameters.keys() <= declared.keys()
        self._template = template
        self._parameters: dict[str, Any] = {
            "AWS::StackName": name,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{_uuid(name)}",
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": REGION,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": NO_VALUE,
        }
        for key, definition in declared.items():
            assert definition["Type"] in {"String", "Number"}
            self._parameters[key] = str(parameters.get(key, definition["Default"]))
        self.resources: dict[str, dict[str, Any]] = {
            key: self._clean(resource)
            for key, resource in template["Resources"].items()
            if self._holds(resource.get("Condition"))
        }
        self.outputs: dict[str, Any] = {
            key: self._clean(output["Value"])
            for key, output in template["Outputs"].items()
            if self._holds(output.get("Condition"))
        }

    def __getitem__(self, logical_id: str) -> Any:
        """The properties of a resource."""
        return self.resources[logical_id]["Properties"]

    def of_type(self, *types: str) -> dict[str, Any]:
        """The properties of every resource of these types, by logical id."""
        return {key: found["Properties"] for key, found in self.resources.items() if found["Type"] in types}

    def functions(self) -> dict[str, Any]:
        """The properties of the functions."""
        return self.of_type("AWS::Serverless::Function", "AWS::Lambda::Function")

    def environment(self, function: str) -> dict[str, str]:
        """The function's variables, the generated secret in its place."""
        variables = self[function]["Environment"]["Variables"]
        return {name: re.sub(r"^\{\{resolve:secretsmanager:.+}}$", SECRET, str(v)) for name, v in variables.items()}

    def refusals(self) -> list[str]:
        """Return the template's rules that these parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self._template["Rules"].values()
            for assertion in rule["Assertions"]
            if self.value(assertion["Assert"]) is not True
        ]

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource."""
        return str(self._attribute(logical_id, "Arn"))

    def value(self, node: Any) -> Any:
        """A node of the template with its intrinsics worked out."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, argument),) = node.items()
            if key == "Condition" and isinstance(argument, str):
                return self._holds(argument)
            if key == "Ref" or key.startswith("Fn::"):
                return _INTRINSICS[key](self, argument)
        values = ((key, self.value(item)) for key, item in node.items())
        return {key: item for key, item in values if item is not NO_VALUE}

    def _clean(self, node: Any) -> Any:
        if isinstance(node, dict) and "Type" in node and "Condition" in node:
            node = {key: item for key, item in node.items() if key != "Condition"}
        return self.value(node)

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.value(self._template["Conditions"][condition]))

    def _ref(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        kind = self._template["Resources"][name]["Type"]
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self._name(name)}"
        if kind == "AWS::CloudFront::Distribution":
            return "E" + re.sub("[^A-Z0-9]", "", self._name(name).upper())
        return self.arn(name) if kind in {"AWS::SecretsManager::Secret", "AWS::SNS::Topic"} else self._name(name)

    def _name(self, logical_id: str) -> str:
        resource = self._template["Resources"][logical_id]
        assert self._holds(resource.get("Condition")), f"{logical_id} is named where it is not there"
        given = self.value(resource.get("Properties", {}).get(_NAMES.get(resource["Type"], "-"), NO_VALUE))
        made_up = f"{self._parameters['AWS::StackName']}-{logical_id}"
        if resource["Type"].startswith(("AWS::ApiGatewayV2", "AWS::CloudFront")) and given is NO_VALUE:
            made_up = made_up.lower()  # such ids are, and stand in host names
        return made_up if given is NO_VALUE else str(given)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        name, kind = self._name(logical_id), self._template["Resources"][logical_id]["Type"]
        if attribute == "Arn":
            service = kind.split("::")[1].lower()
            place = f"{REGION}:{ACCOUNT}"
            return {
                "AWS::S3::Bucket": f"arn:aws:s3:::{name}",
                "AWS::SQS::Queue": f"arn:aws:sqs:{place}:{name}",
                "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{place}:table/{name}",
                "AWS::Logs::LogGroup": f"arn:aws:logs:{place}:log-group:{name}:*",
                "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            }.get(kind, f"arn:aws:{service}:{place}:{name}")
        return {
            "QueueName": name,
            "Id": f"id-of-{name}",
            "RegionalHostedZoneId": f"zone-of-{name}",
            "DomainName": f"{name}.cloudfront.net",
            "RegionalDomainName": f"{name}.s3.{REGION}.amazonaws.com",
            "FunctionUrl": f"https://{name.lower()}.lambda-url.{REGION}.on.aws/",
            "FunctionMetadata.FunctionARN": f"arn:aws:cloudfront::{ACCOUNT}:function/{name}",
        }[attribute]

    def _sub(self, argument: Any) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})

        def filled(match: re.Match[str]) -> str:
            name = match[1]
            if name in given:
                return str(self.value(given[name]))
            head, _, attribute = name.partition(".")
            return str(self._attribute(head, attribute) if attribute else self._ref(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)}", filled, text)


_INTRINSICS: dict[str, Callable[[Stack, Any], Any]] = {
    "Ref": Stack._ref,
    "Fn::Sub": Stack._sub,
    "Fn::GetAtt": lambda stack, path: stack._attribute(*path),
    "Fn::If": lambda stack, arg: stack.value(arg[1] if stack._holds(arg[0]) else arg[2]),
    "Fn::Join": lambda stack, arg: arg[0].join(stack.value(arg[1])),
    "Fn::Split": lambda stack, arg: stack.value(arg[1]).split(arg[0]),
    "Fn::Select": lambda stack, arg: stack.value(arg[1])[int(arg[0])],
    "Fn::Equals": lambda stack, arg: str(stack.value(arg[0])) == str(stack.value(arg[1])),
    "Fn::Not": lambda stack, arg: not stack.value(arg[0]),
    "Fn::And": lambda stack, arg: all(map(stack.value, arg)),
    "Fn::Or": lambda stack, arg: any(map(stack.value, arg)),
}


def _uuid(name: str) -> str:
    return f"{sum(map(ord, name)) * 7919 % 16**8:08x}-4c32-11ec-b9c0-0a1b2c3d4e5f"
