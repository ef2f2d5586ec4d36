"""The bucket, the table and the queues are what the adapters expect, and lose nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from app.adapters.dynamodb import table_definition
from app.adapters.dynamodb.access.table import access_table_definition
from app.adapters.dynamodb.table import EXPIRES_AT
from app.adapters.s3.cors import cors_rules
from app.domain.keys import ORIGINALS
from tests.template.reading import Stack

OWN = "https://darkroom-imageuploadapi.execute-api.eu-west-1.amazonaws.com"
#: What boto3 calls a CORS rule's parts, and CloudFormation.
CORS_NAMES = {"ExposeHeaders": "ExposedHeaders", "MaxAgeSeconds": "MaxAge"}


def test_the_table_is_the_adapters(build_stack: Callable[..., Stack]) -> None:
    table = build_stack(TableName="Photographs")["ImageMetadata"]
    expected = table_definition("Photographs")
    assert {name: table[name] for name in expected} == expected
    assert set(table) - set(expected) == {
        "TimeToLiveSpecification", "PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled",
    }  # fmt: skip


def test_the_table_of_api_keys_is_the_adapters(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(TableName="Photographs")
    table, expected = stack["Access"], access_table_definition("Photographs-Access")
    assert {name: table[name] for name in expected} == expected
    protections = ("PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled")
    assert {name: table[name] for name in protections} == {name: stack["ImageMetadata"][name] for name in protections}
    assert set(table) - set(expected) == set(protections)  # no key expires by itself: time to live would be too late


def test_the_table_goes_by_its_own_name_unless_told(stack: Stack) -> None:
    assert stack["ImageMetadata"]["TableName"] == table_definition()["TableName"] == "ImageMetadata"


def test_the_table_loses_nothing_and_forgets_what_has_expired(stack: Stack) -> None:
    table = stack["ImageMetadata"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_deletion_protection_is_a_choice(build_stack: Callable[..., Stack]) -> None:
    assert build_stack()["ImageMetadata"]["DeletionProtectionEnabled"] == "false"
    assert build_stack(DeletionProtection="true")["ImageMetadata"]["DeletionProtectionEnabled"] == "true"


@pytest.mark.parametrize("name", ["ImageBucket", "ImageMetadata", "Access"])
def test_uploaded_data_outlives_the_stack(form: dict[str, Any], name: str) -> None:
    resource = form["Resources"][name]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"  # a first deployment that fails leaves nothing
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_closed(any_stack: Stack) -> None:
    bucket = any_stack["ImageBucket"]
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert {"AccessControl", "WebsiteConfiguration"} & set(bucket) == set()


def rules_by_id(stack: Stack) -> dict[str, Any]:
    rules = stack["ImageBucket"]["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    return {rule["Id"]: {k: v for k, v in rule.items() if k not in {"Id", "Status"}} for rule in rules}


def test_the_bucket_cleans_up_after_itself(build_stack: Callable[..., Stack]) -> None:
    assert rules_by_id(build_stack()) == {
        "abandoned-multipart-uploads": {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        "deleted-images": {"NoncurrentVersionExpiration": {"NoncurrentDays": "7"}, "ExpiredObjectDeleteMarker": True},
    }
    deleted = rules_by_id(build_stack(NoncurrentDays="30"))["deleted-images"]
    assert deleted["NoncurrentVersionExpiration"] == {"NoncurrentDays": "30"}


def test_originals_move_to_a_cheaper_class_if_asked_and_nothing_else_does(build_stack: Callable[..., Stack]) -> None:
    rules = rules_by_id(build_stack(OriginalsTier="GLACIER_IR", OriginalsTierAfterDays="90"))
    transition = {"StorageClass": "GLACIER_IR", "TransitionInDays": "90"}
    assert rules["tier-originals"] == {"Prefix": ORIGINALS, "Transitions": [transition]}


def test_no_tier_takes_hours_to_read(form: dict[str, Any]) -> None:
    assert set(form["Parameters"]["OriginalsTier"]["AllowedValues"]) == {
        "NONE", "INTELLIGENT_TIERING", "STANDARD_IA", "GLACIER_IR",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ({}, [OWN]),
        ({"AllowedOrigins": "https://a.example"}, [OWN, "https://a.example"]),
        ({"AllowedOrigins": "https://a.example,https://b.example:8443"}, [OWN, "https://a.example", "https://b.example:8443"]),
        ({"DomainName": "img.example.org", "CertificateId": "0f2a"}, ["https://img.example.org"]),
    ],
)  # fmt: skip
def test_the_buckets_cors_is_the_adapters(
    build_stack: Callable[..., Stack], given: dict[str, str], origins: list[str]
) -> None:
    """Our own page sends by ticket too, and to the bucket it is another site's."""
    expected = [
        {CORS_NAMES.get(name, name): value for name, value in rule.items()} for rule in cors_rules(origins)["CORSRules"]
    ]
    assert build_stack(**given)["ImageBucket"]["CorsConfiguration"] == {"CorsRules": expected}


def test_cors_is_the_applications_alone(any_stack: Stack) -> None:
    assert "CorsConfiguration" not in any_stack["ImageUploadAPI"]


def test_the_queues_are_encrypted(stack: Stack) -> None:
    for queue in stack.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True


def test_the_cdn_reads_by_its_own_identity_and_keeps_nothing_beyond_a_day(any_stack: Stack) -> None:
    if "VariantsCdn" not in any_stack.resources:
        assert any_stack.of_type("AWS::CloudFront::Distribution", "AWS::CloudFront::OriginAccessControl") == {}
        return
    distribution = any_stack["VariantsCdn"]["DistributionConfig"]
    origin = distribution["Origins"][0]
    assert origin["OriginAccessControlId"] == "id-of-darkroom-variantsaccess"
    assert origin["DomainName"].startswith(any_stack["ImageBucket"]["BucketName"])
    behavior = distribution["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    assert behavior["AllowedMethods"] == ["GET", "HEAD"]
    assert any_stack["VariantsCache"]["CachePolicyConfig"]["MaxTTL"] == 24 * 3600
    headers = any_stack["VariantsHeaders"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert headers["ContentTypeOptions"] == {"Override": True}
    assert "sandbox" in headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]
