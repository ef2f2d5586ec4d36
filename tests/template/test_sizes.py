"""Sizes on demand: the function, its rights and its url, and the CDN in front of it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.template.conftest import ALL
from tests.template.reading import Stack
from tests.template.rights import actions, allows, statements

RENDER = "RenderFunction"
SIZES = {
    "RenderFunction", "RenderRole", "RenderUrl", "RenderUrlPermission", "RenderInvokePermission", "RenderAccess",
    "RenderLog", "RenderErrorsAlarm", "SizesHeaders", "SizeKeys",
}  # fmt: skip
CDN_ONLY = SIZES - {"RenderFunction", "RenderRole", "RenderLog", "RenderErrorsAlarm"}
DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution/EDARKROOMVARIANTSCDN"


@pytest.fixture
def sizes(build_stack: Callable[..., Stack]) -> Stack:
    return build_stack(**ALL)


def origins(stack: Stack) -> dict[str, Any]:
    return {origin["Id"]: origin for origin in stack["VariantsCdn"]["DistributionConfig"]["Origins"]}


def behaviors(stack: Stack) -> dict[str, Any]:
    found = stack["VariantsCdn"]["DistributionConfig"]["CacheBehaviors"]
    return {behavior["PathPattern"]: behavior for behavior in found}


def test_nothing_of_it_exists_unless_it_is_asked_for(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(Cdn="true")
    assert not SIZES & stack.resources.keys()
    config = stack["VariantsCdn"]["DistributionConfig"]
    assert not {"OriginGroups", "CacheBehaviors", "CustomErrorResponses"} & config.keys()
    assert set(origins(stack)) == {"bucket"}


def test_without_a_cdn_only_the_api_can_call_the_function(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(OnDemand="snap")
    assert SIZES & stack.resources.keys() == SIZES - CDN_ONLY
    assert allows(statements(stack, "ImageApiFunction"), "lambda:InvokeFunction", stack.arn(RENDER))
    assert not allows(statements(stack, "ImageApiFunction"), "lambda:InvokeFunction", stack.arn("ReconcileFunction"))
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert permission["FunctionName"] != stack.arn(RENDER)


def test_the_function_runs_the_image_of_the_worker_with_its_limits(sizes: Stack) -> None:
    function, worker = sizes[RENDER], sizes["ImageProcessingFunction"]
    assert function["ImageConfig"] == {"Command": ["app.lambda_render.handler"]}
    assert function["MemorySize"] == worker["MemorySize"]
    environment, workers = sizes.environment(RENDER), sizes.environment("ImageProcessingFunction")
    for name in ("DARKROOM_PROCESSING_TIMEOUT_SECONDS", "DARKROOM_PROCESSING_MEMORY_MB"):
        assert environment[name] == workers[name]
    assert float(environment["DARKROOM_PROCESSING_TIMEOUT_SECONDS"]) < function["Timeout"]
    assert function["Timeout"] < origins(sizes)["renderer"]["CustomOriginConfig"]["OriginReadTimeout"]


@pytest.mark.parametrize(("given", "reserved"), [("none", None), ("7", "7")])
def test_concurrency_is_reserved_on_request_only(
    build_stack: Callable[..., Stack], given: str, reserved: str | None
) -> None:
    stack = build_stack(OnDemand="snap", RenderConcurrency=given)
    assert stack[RENDER].get("ReservedConcurrentExecutions") == reserved


def test_the_url_is_for_the_cdn_of_the_stack_alone_with_both_permissions(sizes: Stack) -> None:
    assert sizes["RenderUrl"] == {"TargetFunctionArn": sizes.arn(RENDER), "AuthType": "AWS_IAM"}
    found = [
        permission
        for permission in sizes.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == sizes.arn(RENDER)
    ]
    assert {permission["Action"] for permission in found} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    for permission in found:
        assert permission["Principal"] == "cloudfront.amazonaws.com"
        assert permission["SourceArn"] == DISTRIBUTION
        if permission["Action"] == "lambda:InvokeFunctionUrl":
            assert permission["FunctionUrlAuthType"] == "AWS_IAM"
        else:
            assert permission["InvokedViaFunctionUrl"] in {True, "true"}


def test_the_cdn_asks_the_bucket_first_and_signs_its_requests_to_both(sizes: Stack) -> None:
    (group,) = sizes["VariantsCdn"]["DistributionConfig"]["OriginGroups"]["Items"]
    assert [member["OriginId"] for member in group["Members"]["Items"]] == ["bucket", "renderer"]
    assert group["FailoverCriteria"]["StatusCodes"]["Items"] == [403, 404]
    renderer = origins(sizes)["renderer"]
    assert renderer["DomainName"].endswith(".lambda-url.eu-west-1.on.aws")
    assert renderer["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    access = sizes["RenderAccess"]["OriginAccessControlConfig"]
    assert (access["OriginAccessControlOriginType"], access["SigningBehavior"]) == ("lambda", "always")
    for pattern in ("/i/*", "/ondemand/*"):
        behavior = behaviors(sizes)[pattern]
        assert behavior["TargetOriginId"] == group["Id"]
        assert behavior["AllowedMethods"] == ["GET", "HEAD"], "an origin group serves no others"
    assert [each["EventType"] for each in behaviors(sizes)["/i/*"]["FunctionAssociations"]] == ["viewer-request"]
    assert "FunctionAssociations" not in behaviors(sizes)["/ondemand/*"]


def test_absent_sizes_are_cached_shortly_and_temporary_errors_not_at_all(sizes: Stack) -> None:
    found = sizes["VariantsCdn"]["DistributionConfig"]["CustomErrorResponses"]
    seconds = {response["ErrorCode"]: response["ErrorCachingMinTTL"] for response in found}
    assert seconds == {404: 60, 500: 0, 502: 0, 503: 0, 504: 0}


def test_stored_sizes_end(sizes: Stack) -> None:
    rules = sizes["ImageBucket"]["LifecycleConfiguration"]["Rules"]
    (rule,) = [rule for rule in rules if rule.get("Prefix") == "ondemand/"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", "90")


def test_the_function_of_the_cdn_has_room_for_the_longest_lists(build_stack: Callable[..., Stack]) -> None:
    widths = ",".join(str(width) for width in range(16368, 16384))
    ratios = ",".join(f"{number}:99" for number in range(91, 99))
    code = build_stack(**ALL | {"OnDemandWidths": widths, "OnDemandRatios": ratios})["SizeKeys"]["FunctionCode"]
    assert len(code.encode()) < 10_240, "the limit of CloudFront"
    assert f"'{widths}'" in code
    assert "${" not in code


def test_rights_of_the_renderer(sizes: Stack) -> None:
    found, bucket = statements(sizes, RENDER), sizes.arn("ImageBucket")
    assert actions(found) == {
        "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
        *(f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Update", "Delete", "ConditionCheck")),
        "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    }  # fmt: skip
    places = (
        "originals/019a", "processed/019a/r/w.webp", "processed/public/019a/r/w.webp", "processed/019a/ondemand/w",
        "ondemand/019a/w", "elsewhere/019a",
    )  # fmt: skip
    may = {
        (verb, place)
        for verb in ("Get", "Put", "Delete")
        for place in places
        if allows(found, f"s3:{verb}Object", f"{bucket}/{place}")
    }
    own = [("Put", place) for place in places[3:5]] + [("Delete", place) for place in places[3:5]]
    assert may == {("Get", place) for place in places[:5]} | set(own)
    assert not allows(found, "s3:ListBucket", bucket)
