"""Parameters, outputs, and a second stack next to the first."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key, parse_keys
from app.domain.configuration.addresses import normalize_origin
from tests.domain.configuration.test_addresses import ORIGINS
from tests.repository.tree import AWS
from tests.template.conftest import ALL, KEYS
from tests.template.reading import Stack

#: Properties that name something in the account or the region.
NAMES = {
    "BucketName", "TableName", "QueueName", "LogGroupName", "DashboardName", "FunctionName", "RoleName", "TopicName",
    "AlarmName", "Name",
}  # fmt: skip


def names(stack: Stack) -> set[tuple[str, str]]:
    """Each kind of thing that is made with a name, and the name."""

    def within(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in NAMES and isinstance(value, str):
                    yield value
                elif isinstance(value, dict):
                    yield from within(value)

    made = {
        "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Dashboard", "AWS::Lambda::Function", "AWS::Serverless::Function", "AWS::IAM::Role",
        "AWS::SNS::Topic", "AWS::CloudWatch::Alarm",
        "AWS::ApiGatewayV2::Api", "AWS::CloudFront::OriginAccessControl", "AWS::CloudFront::CachePolicy",
        "AWS::CloudFront::ResponseHeadersPolicy", "AWS::SecretsManager::Secret", "AWS::Events::Rule",
    }  # fmt: skip
    return {
        (resource["Type"], name)
        for resource in stack.resources.values()
        if resource["Type"] in made
        for name in within(resource["Properties"])
    }


def test_two_stacks_live_side_by_side(build_stack: Callable[..., Stack]) -> None:
    options = {**ALL, "DomainName": "", "CertificateId": "none"}
    one, other = build_stack("darkroom", **options), build_stack("Staging-2", TableName="Staging", **options)
    assert len(names(one)) == len(names(other)) >= 11
    assert names(one) & names(other) == set()


def test_names_keep_the_rules_of_their_services(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack("Staging-2")
    assert re.fullmatch(r"darkroom-123456789012-[0-9a-f]{8}", stack["ImageBucket"]["BucketName"])
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", q["QueueName"]) for q in stack.of_type("AWS::SQS::Queue").values()
               if "QueueName" in q)  # fmt: skip


def test_the_bucket_has_the_name_it_is_given(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(BucketName="my-pictures")
    assert stack["ImageBucket"]["BucketName"] == stack.outputs["Bucket"] == "my-pictures"
    statement = stack["EventQueuePolicy"]["PolicyDocument"]["Statement"][0]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": "arn:aws:s3:::my-pictures"}


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"ApiKeys": KEYS}, ""),
        ({"AllowAnonymous": "true", "ApiKeys": ""}, ""),
        ({"ApiKeys": ""}, ""),  # keys are in the store
        ({"ApiKeys": KEYS, "AllowAnonymous": "true"}, "ApiKeys"),
        ({"DomainName": "img.example.org"}, "DomainName"),
        ({"CertificateId": "0f2a"}, "DomainName"),
        ({"DomainName": "img.example.org", "CertificateId": "0f2a"}, ""),
    ],
)
def test_invalid_parameters_are_refused_before_any_resource_is_made(
    build_stack: Callable[..., Stack], parameters: dict[str, str], refused: str
) -> None:
    refusals = build_stack(**parameters).refusals()
    assert [sentence for sentence in refusals if refused not in sentence] == []
    assert len(refusals) == bool(refused)


def good(form: dict[str, Any], parameter: str, value: str) -> bool:
    return re.fullmatch(form["Parameters"][parameter]["AllowedPattern"], value) is not None


def test_keys_are_the_entries_that_the_command_prints(form: dict[str, Any]) -> None:
    entries = [str(new_key(f"owner-{n}@example.org", list(Scope)[: n + 1])[1]) for n in range(len(Scope))]
    assert all(good(form, "ApiKeys", entry) for entry in entries)
    assert good(form, "ApiKeys", ",".join(entries))
    assert len(parse_keys(",".join(entries))) == len(Scope)
    assert form["Parameters"]["ApiKeys"]["NoEcho"] is True


def test_a_key_itself_is_not_taken_for_its_hash(form: dict[str, Any]) -> None:
    key, found = new_key("ann", [Scope.READ])
    entry = str(found)
    for wrong in (key, f"ann:read:{key}", f"{entry},", f"ann:write:{entry[-64:]}", f"{entry} ", entry.upper()):
        assert not good(form, "ApiKeys", wrong), wrong


@pytest.mark.parametrize(
    ("parameter", "values", "not_these"),
    [
        ("TableName", ["ImageMetadata", "a.b-c_1"], ["ab", "a/b", ""]),
        ("BucketName", ["", "my-pictures"], ["My-pictures", "-a-", "a.b", "ab"]),
        ("DomainName", ["", "img.example.org"], ["https://img.example.org", "example", "a..b", "img.example.org/"]),
        ("CertificateId", ["none", "0f2a-4c6e"], ["", "arn:aws:acm:eu-west-1:123456789012:certificate/0f2a"]),
        (
            "AllowedOrigins",
            ["", "https://a.example", "https://a.example:8443,http://localhost:3000"],
            ["*", "a.example", "https://a.example/", "https://a.example,", "https://a.example, https://b.example",
             ",https://a.example", "https://a.examplehttps://b.example", "https://a.example:443,https://b.example"],
        ),
        ("PreviousSigningSecret", ["", "a1" * 32], ["short", "a" * 129, "a" * 20 + "-"]),
        ("AlarmEmail", ["", "ops@example.org"], ["ops", "a b@c"]),
    ],
)  # fmt: skip
def test_patterns(form: dict[str, Any], parameter: str, values: list[str], not_these: list[str]) -> None:
    assert [value for value in values if not good(form, parameter, value)] == []
    assert [value for value in not_these if good(form, parameter, value)] == []


@pytest.mark.parametrize("given", [given for given, said in ORIGINS if given != said])
def test_origins_are_told_to_the_bucket_as_they_stand_and_so_must_be_what_browsers_say(
    form: dict[str, Any], given: str
) -> None:
    said = normalize_origin(given)
    assert not good(form, "AllowedOrigins", given)
    assert not good(form, "AllowedOrigins", f"https://a.example,{given}")
    assert good(form, "AllowedOrigins", f"https://a.example,{said}") is ("[" not in said)


def test_every_parameter_is_described_bounded_and_asked_for_in_a_group(form: dict[str, Any]) -> None:
    grouped = [
        name
        for group in form["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(form["Parameters"])
    for name, parameter in form["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        assert "Default" in parameter, name
        bounds = {"AllowedValues", "AllowedPattern", "MinValue"} & parameter.keys()
        assert bounds, name
        if "AllowedValues" in parameter:
            assert parameter["Default"] in parameter["AllowedValues"], name


def test_outputs_are_what_a_user_needs(build_stack: Callable[..., Stack]) -> None:
    common = {
        "ApiUrl", "DashboardUrl", "Bucket", "Table", "Queue", "DeadLetters", "DeadLettersArn", "ApiFunction",
        "ProcessingFunction", "ReconcileFunction", "SigningSecret", "AccessTable",
    }  # fmt: skip
    assert set(build_stack().outputs) == common
    assert set(build_stack(**ALL).outputs) == common | {
        "DomainTarget", "DomainTargetZone", "CdnUrl", "WebhookQueueUrl", "WebhookDeadLetters",
    }  # fmt: skip
    assert build_stack(**ALL).outputs["ApiUrl"] == "https://img.example.org"


def test_the_page_asks_for_outputs_that_are_there_and_while_they_are(stack: Stack) -> None:
    """A stack that was deleted has none, and what is kept has to be found by its name."""
    assert set(re.findall(r"\$\(output (\w+)\)", AWS)) - set(stack.outputs) == set()
    deploy = AWS[AWS.index("\noutput() {") : AWS.index("## The images")]
    removal = deploy[deploy.index("## Remove") :]
    deletion = removal.index("sam delete --stack-name darkroom --no-prompts")
    outputs = "$(output Table) access=$(output AccessTable) bucket=$(output Bucket) secret=$(output SigningSecret)"
    assert removal.index(outputs) < deletion
    by_hand = deploy[deploy.index("aws lambda invoke") :].split("```")[0]
    assert "--cli-read-timeout 0" in by_hand, "the CLI gives up after 60 seconds, and asks again"
    assert stack["ReconcileFunction"]["Timeout"] > 60
    for shell in re.findall(r"```shell\n(.*?)```", deploy, re.DOTALL):
        used, set_here = set(re.findall(r'"\$(\w+)', shell)), set(re.findall(r"\b(\w+)=", shell))
        assert used - set_here - {"url"} == set(), shell
    kept = {name for name, resource in stack.resources.items() if "Retain" in resource.get("DeletionPolicy", "")}
    assert kept == {"ImageBucket", "ImageMetadata", "Access", "SigningSecret"}


def test_the_gateway_throttles_logs_and_hides_behind_the_domain(build_stack: Callable[..., Stack]) -> None:
    stage = build_stack(ThrottleRate="20", ThrottleBurst="40")["ApiStage"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": "20", "ThrottlingBurstLimit": "40"}
    line = stage["AccessLogSettings"]["Format"]
    assert "$context.requestId" in line
    assert not re.search(r"identity|sourceIp|userAgent|querystring|authorizer", line, re.IGNORECASE)
    assert build_stack()["ImageUploadAPI"]["DisableExecuteApiEndpoint"] is False
    mine = build_stack(**ALL)
    assert mine["ImageUploadAPI"]["DisableExecuteApiEndpoint"] is True
    (domain,) = mine["ApiDomain"]["DomainNameConfigurations"]
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert domain["CertificateArn"] == "arn:aws:acm:eu-west-1:123456789012:certificate/0f2a4c6e"


def test_every_request_reaches_the_function_in_the_form_it_reads(stack: Stack) -> None:
    assert stack["ImageUploadAPI"]["ProtocolType"] == "HTTP"
    assert stack["ApiRoute"]["RouteKey"] == "$default"
    assert stack["ApiRoute"]["Target"] == "integrations/darkroom-apiintegration"
    integration = stack["ApiIntegration"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    assert stack.arn("ImageApiFunction") in integration["IntegrationUri"]
