"""Rights of each function, allowed and denied, by action and prefix."""

import re
from collections.abc import Callable

import pytest

from tests.repository.tree import AWS
from tests.template.conftest import ALL as EVERYTHING
from tests.template.reading import Stack
from tests.template.rights import actions, allows, denies, listed, statements

API, WORKER, RECONCILE = "ImageApiFunction", "ImageProcessingFunction", "ReconcileFunction"
FUNCTIONS = (API, WORKER, RECONCILE)
#: Names of the functions in docs/aws.md.
NAMED = {
    "API": API, "worker": WORKER, "reconcile": RECONCILE, "render": "RenderFunction", "webhooks": "WebhookFunction",
}  # fmt: skip

RECORDS = {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Update", "Delete", "ConditionCheck")}
OBJECTS = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
RENDER, WEBHOOKS = "RenderFunction", "WebhookFunction"
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
#: Everything that a function may do anywhere.
ALL = {
    API: RECORDS | OBJECTS | LOGS | {
        "s3:ListBucket", "dynamodb:BatchGetItem", "dynamodb:Query", "sqs:SendMessage", "sqs:GetQueueAttributes",
    },
    WORKER: RECORDS | OBJECTS | LOGS | {
        "s3:ListBucket", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
    },
    RECONCILE: RECORDS | OBJECTS | LOGS | {
        "s3:ListBucket", "dynamodb:BatchGetItem", "dynamodb:Query", "sqs:SendMessage", "sqs:GetQueueAttributes",
    },
}  # fmt: skip

#: On which prefix each may do what with objects.
PREFIXES = [
    (API, "originals/", {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}),
    (API, "processed/", OBJECTS),
    (WORKER, "originals/", {"s3:GetObject", "s3:DeleteObject"}),
    (WORKER, "processed/", OBJECTS),
    (RECONCILE, "originals/", {"s3:DeleteObject"}),
    (RECONCILE, "processed/", OBJECTS),
    *((function, prefix, set()) for function in FUNCTIONS for prefix in ("", "originals-evil/", "elsewhere/")),
]
NEVER = (
    "dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:UpdateTable", "dynamodb:PartiQLSelect",
    "dynamodb:BatchWriteItem", "s3:PutBucketPolicy", "s3:DeleteBucket", "s3:PutObjectAcl", "s3:PutObjectTagging",
    "s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "sqs:PurgeQueue",
    "sqs:SetQueueAttributes", "iam:PassRole", "kms:Decrypt", "lambda:InvokeFunction", "secretsmanager:GetSecretValue",
    "sts:AssumeRole", "logs:CreateLogGroup",
)  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_these_rights_and_no_others(any_stack: Stack, function: str) -> None:
    invalidates = function != WORKER and "VariantsCdn" in any_stack.resources
    optional = {"cloudfront:CreateInvalidation"} if invalidates else set()
    optional |= {"lambda:InvokeFunction"} if function == API and RENDER in any_stack.resources else set()
    optional |= {"sqs:SendMessage"} if WEBHOOKS in any_stack.resources else set()
    assert actions(statements(any_stack, function)) == ALL[function] | TRACES | optional


@pytest.mark.parametrize(("function", "prefix", "allowed"), PREFIXES)
def test_objects_by_prefix(any_stack: Stack, function: str, prefix: str, allowed: set[str]) -> None:
    found = statements(any_stack, function)
    key = f"{any_stack.arn('ImageBucket')}/{prefix}019a"
    assert {action for action in OBJECTS if allows(found, action, key)} == allowed
    assert not allows(found, "s3:GetObject", f"arn:aws:s3:::another-bucket/{prefix}019a")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_role_has_rights_that_none_needs(any_stack: Stack, function: str) -> None:
    found = statements(any_stack, function)
    names = ("ImageBucket", "ImageMetadata", "Access", "EventQueue", "DeadLetterQueue")
    everything = [any_stack.arn(name) for name in names]
    places = [*everything, *(f"{arn}/x" for arn in everything), f"{everything[1]}/index/ByIndex", "*"]
    assert [(action, place) for action in NEVER for place in places if allows(found, action, place)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_star_but_x_rays(any_stack: Stack, function: str) -> None:
    for statement in statements(any_stack, function):
        assert [action for action in listed(statement["Action"]) if "*" in action] == []
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & statement.keys()
        if set(listed(statement["Action"])) == TRACES:
            continue
        for resource in listed(statement["Resource"]):
            prefixes = r"(/(originals|processed|ondemand)/\*|:\*)?"
            assert re.fullmatch(rf"arn:aws:[a-z0-9]+:[^*]+[^*:/]{prefixes}", resource), resource


PLACES = (
    "originals/", "originals/019a", "processed/", "processed/019a/", "processed/public/019a/", "", "elsewhere/",
)  # fmt: skip


def test_lists_are_for_who_reads_them_and_within_their_prefixes(stack: Stack) -> None:
    bucket = stack.arn("ImageBucket")
    may = {
        (function, prefix)
        for function in FUNCTIONS
        for prefix in PLACES
        if allows(statements(stack, function), "s3:ListBucket", bucket, s3__prefix=prefix)
    }
    assert may == {
        (API, "processed/"), (API, "processed/019a/"), (API, "processed/public/019a/"),
        (WORKER, "processed/"), (WORKER, "processed/019a/"), (WORKER, "processed/public/019a/"),
        (RECONCILE, "originals/"), (RECONCILE, "originals/019a"), (RECONCILE, "processed/"),
        (RECONCILE, "processed/019a/"), (RECONCILE, "processed/public/019a/"),
    }  # fmt: skip
    assert not any(allows(statements(stack, function), "s3:ListBucket", bucket) for function in FUNCTIONS)


def test_queries_are_of_the_index_alone(stack: Stack) -> None:
    table = stack.arn("ImageMetadata")
    for function in (API, RECONCILE):
        found = statements(stack, function)
        assert allows(found, "dynamodb:Query", f"{table}/index/ByIndex")
        assert not allows(found, "dynamodb:Query", table)
        assert not allows(found, "dynamodb:GetItem", f"{table}-of-another-stack")


def test_only_the_api_has_a_right_to_api_keys(any_stack: Stack) -> None:
    """The worker decodes hostile files, and so does the function that renders sizes."""
    table = any_stack.arn("Access")
    functions = [name for name in (*FUNCTIONS, RENDER, WEBHOOKS) if name in any_stack.resources]
    verbs = ("GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    may = {
        (function, verb)
        for function in functions
        for verb in (*verbs, "ConditionCheckItem")
        for place in (table, f"{table}/index/ByIndex")
        if allows(statements(any_stack, function), f"dynamodb:{verb}", place, dynamodb__LeadingKeys="key")
    }
    assert may == {(API, verb) for verb in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")}


def test_the_sender_sees_its_own_items_and_endpoints_alone(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(**EVERYTHING)
    found = statements(stack, WEBHOOKS)
    assert actions(found) == LOGS | TRACES | {
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query",
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
    }  # fmt: skip
    may = {
        (table, action, key)
        for table in ("ImageMetadata", "Access")
        for action in ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
        for key in ("event#1", "delivery#1", "health#1", "019a-an-image", "sha256#ann#0", "key", "webhook")
        if allows(found, action, stack.arn(table), dynamodb__LeadingKeys=key)
    }
    own = {("ImageMetadata", f"dynamodb:{verb}Item", f"{kind}#1")
           for verb in ("Get", "Put") for kind in ("event", "delivery", "health")}  # fmt: skip
    assert may == own | {("Access", f"dynamodb:{name}", "webhook") for name in ("GetItem", "Query")}
    assert not allows(found, "sqs:SendMessage", stack.arn("EventQueue"))
    assert not allows(found, "sqs:ReceiveMessage", stack.arn("WebhookDeadLetterQueue"))


def test_others_may_only_send_to_the_queue_of_webhooks(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(**EVERYTHING)
    may = {
        (function, action)
        for function in (*FUNCTIONS, RENDER)
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        if allows(statements(stack, function), action, stack.arn("WebhookQueue"))
    }
    assert may == {
        (API, "sqs:SendMessage"), (API, "sqs:GetQueueAttributes"), (WORKER, "sqs:SendMessage"),
        (RECONCILE, "sqs:SendMessage"), (RECONCILE, "sqs:GetQueueAttributes"),
    }  # fmt: skip
    for queue in ("WebhookQueue", "WebhookDeadLetterQueue"):
        policy = stack["WebhookQueuePolicy"]["PolicyDocument"]["Statement"]
        assert denies(policy, "sqs:SendMessage", stack.arn(queue), {"aws:SecureTransport": "false"})


def test_only_the_worker_receives_events_and_it_sends_none(stack: Stack) -> None:
    queue = stack.arn("EventQueue")
    may = {
        (function, action)
        for function in FUNCTIONS
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage")
        if allows(statements(stack, function), action, queue)
    }
    assert may == {
        (API, "sqs:SendMessage"), (RECONCILE, "sqs:SendMessage"),
        (WORKER, "sqs:ReceiveMessage"), (WORKER, "sqs:DeleteMessage"),
    }  # fmt: skip


def test_each_function_logs_to_its_own_group_alone(stack: Stack) -> None:
    groups = {"ApiLog": API, "WorkerLog": WORKER, "ReconcileLog": RECONCILE}
    for group, owner in groups.items():
        stream = stack.arn(group).removesuffix("*") + "log-stream:1"
        assert {f for f in FUNCTIONS if allows(statements(stack, f), "logs:PutLogEvents", stream)} == {owner}
        assert stack[owner]["LoggingConfig"]["LogGroup"] == stack[group]["LogGroupName"]
    assert len({stack[function]["Role"] for function in FUNCTIONS}) == 3


def test_roles_are_lambdas_and_there_are_no_others(any_stack: Stack) -> None:
    """The SAM translator adds roles and managed policies of its own where the template names none."""
    roles = any_stack.of_type("AWS::IAM::Role")
    optional = {"RenderRole"} if RENDER in any_stack.resources else set()
    optional |= {"WebhookRole"} if WEBHOOKS in any_stack.resources else set()
    assert set(roles) == {"ImageApiRole", "ImageProcessingRole", "ReconcileRole"} | optional
    for role in roles.values():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    assert any_stack.of_type("AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group") == {}


def test_no_right_comes_beside_the_role_which_is_all_that_a_function_waits_for(any_stack: Stack) -> None:
    """Lambda asks the role for X-Ray's actions when it makes a function with active tracing."""
    assert any_stack.of_type("AWS::IAM::Policy", "AWS::IAM::RolePolicy") == {}


def bucket_policy(stack: Stack) -> list[dict[str, object]]:
    found: list[dict[str, object]] = stack["ImageBucketPolicy"]["PolicyDocument"]["Statement"]
    return found


@pytest.mark.parametrize(
    ("action", "key", "change", "refused"),
    [
        ("s3:PutObject", "originals/a", {"s3:if-none-match": "*"}, False),
        ("s3:PutObject", "originals/a", {}, True),
        ("s3:PutObject", "processed/a/b/c.webp", {}, False),
        ("s3:GetObject", "originals/a", {}, False),
        ("s3:GetObject", "originals/a", {"aws:SecureTransport": "false"}, True),
        ("s3:GetObject", "processed/a", {"s3:TlsVersion": "1.1"}, True),
        ("s3:PutObject", "originals/a", {"s3:if-none-match": "*", "s3:TlsVersion": "1.0"}, True),
        ("s3:DeleteObject", "originals/a", {}, False),
    ],
)
def test_the_bucket_refuses(stack: Stack, action: str, key: str, change: dict[str, str], refused: bool) -> None:
    request = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"} | change
    assert denies(bucket_policy(stack), action, f"{stack.arn('ImageBucket')}/{key}", request) is refused


def test_the_bucket_lets_nobody_in_but_the_cdn_to_variants(any_stack: Stack) -> None:
    allowed = [statement for statement in bucket_policy(any_stack) if statement["Effect"] == "Allow"]
    if "VariantsCdn" not in any_stack.resources:
        assert allowed == []
        return
    (only,) = allowed
    bucket = any_stack.arn("ImageBucket")
    assert (only["Principal"], only["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")
    sizes = [f"{bucket}/ondemand/*"] if RENDER in any_stack.resources else []
    assert listed(only["Resource"]) == [f"{bucket}/processed/public/*", *sizes]
    source = only["Condition"]["StringEquals"]["aws:SourceArn"]  # type: ignore[index]  # asserted by its use
    assert re.fullmatch(r"arn:aws:cloudfront::123456789012:distribution/E[A-Z]+VARIANTSCDN", source)
    for function in (API, RECONCILE):
        found = statements(any_stack, function)
        assert allows(found, "cloudfront:CreateInvalidation", source)
        assert not allows(found, "cloudfront:CreateInvalidation", f"{source}X")


def test_the_queue_takes_from_its_own_bucket_alone(any_stack: Stack) -> None:
    document = any_stack["EventQueuePolicy"]["PolicyDocument"]["Statement"]
    (allowed,) = (statement for statement in document if statement["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert allowed["Condition"] == {
        "ArnEquals": {"aws:SourceArn": any_stack.arn("ImageBucket")},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    for queue, policy in (("EventQueue", "EventQueuePolicy"), ("DeadLetterQueue", "DeadLetterQueuePolicy")):
        statement = any_stack[policy]["PolicyDocument"]["Statement"]
        assert denies(statement, "sqs:SendMessage", any_stack.arn(queue), {"aws:SecureTransport": "false"})
        assert not denies(statement, "sqs:SendMessage", any_stack.arn(queue), {"aws:SecureTransport": "true"})


def test_permitted_callers_are_named_by_their_arn(any_stack: Stack) -> None:
    permission = any_stack["ApiPermission"]
    assert permission["SourceArn"].startswith("arn:aws:execute-api:eu-west-1:123456789012:")
    assert "SourceAccount" not in permission  # the ARN of the API names the account
    for found in any_stack.of_type("AWS::Lambda::Permission").values():
        assert found["Principal"].endswith(".amazonaws.com")
        assert re.fullmatch(r"arn:aws:([a-z-]+:eu-west-1|cloudfront:):123456789012:\S+", found["SourceArn"])


def test_the_page_lists_the_rights_of_each_function(build_stack: Callable[..., Stack]) -> None:
    """Each row is one or several functions, actions, of which later ones leave out the service, and places."""
    stack = build_stack(**EVERYTHING)
    (written,) = re.findall(r"<!-- rights -->\n.*?---\|\n(.*?)\n<!-- end", AWS, re.DOTALL)
    found: dict[str, set[str]] = {function: set() for function in NAMED.values()}
    for row in written.splitlines():
        names, quoted, place = (cell.strip() for cell in row.strip("|").split("|"))
        actions_of_row, service = [], ""
        for action in re.findall("`([^`]+)`", quoted):
            service = action.partition(":")[0] if ":" in action else service
            actions_of_row.append(f"{service}:{action.partition(':')[2] or action}")
        for name in names.split(", "):
            found[NAMED[name]] |= set(actions_of_row)
            for action in actions_of_row:
                for prefix in re.findall(r"`([\w/*]+)/\*`", place):
                    is_list = action == "s3:ListBucket"
                    bucket = stack.arn("ImageBucket")
                    context = {"s3__prefix": f"{prefix}/x"} if is_list else {}
                    resource = bucket if is_list else f"{bucket}/{prefix}/x"
                    assert allows(statements(stack, NAMED[name]), action, resource, **context), row
    assert found == {function: actions(statements(stack, function)) for function in NAMED.values()}
