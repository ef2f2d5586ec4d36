"""The classes of the Python client have the members that the API documents."""

import dataclasses
from typing import Any, get_type_hints

import pytest

from darkroom import records
from darkroom.images import Changes, Filters
from darkroom.keys import records as keys
from darkroom.keys.calls import KeyChanges
from darkroom.uploads import Description
from darkroom.webhooks import records as webhooks
from darkroom.webhooks.calls import DeliveryFilters, WebhookChanges

CLASSES = {
    "ImageView": records.Image,
    "VariantView": records.Variant,
    "Failure": records.Failure,
    "FocalPoint": records.FocalPoint,
    "PrivacyReport": records.PrivacyReport,
    "Rights": records.Rights,
    "Links": records.Links,
    "Embed": records.Embed,
    "SimilarImage": records.SimilarImage,
    "SimilarImageList": records.SimilarImages,
    "ShareLink": records.ShareLink,
    "Stats": records.Stats,
    "LimitsView": records.Limits,
    "CreatedWebhook": webhooks.Webhook,
    "DeliveryView": webhooks.Delivery,
    "AttemptView": webhooks.Attempt,
    "Redelivered": webhooks.Redelivered,
    "CreatedApiKey": keys.Key,
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_of_its_schema(openapi: Any, name: str) -> None:
    fields = {field.name for field in dataclasses.fields(CLASSES[name])} - {"raw"}
    assert fields == openapi["components"]["schemas"][name]["properties"].keys()


def test_changes_are_those_of_the_api(openapi: Any) -> None:
    assert get_type_hints(Changes).keys() == openapi["components"]["schemas"]["ImagePatch"]["properties"].keys()


def test_changes_of_keys_are_those_of_the_api(openapi: Any) -> None:
    assert get_type_hints(KeyChanges).keys() == openapi["components"]["schemas"]["KeyPatch"]["properties"].keys()


def test_filters_are_those_of_the_api(openapi: Any) -> None:
    parameters = {each["name"] for each in openapi["paths"]["/images"]["get"]["parameters"] if each["in"] == "query"}
    assert get_type_hints(Filters).keys() == parameters - {"limit", "cursor"}


def test_a_description_is_that_of_the_api(openapi: Any) -> None:
    fields = openapi["components"]["schemas"]["TicketBody"]["properties"].keys()
    assert get_type_hints(Description).keys() == fields - {"bytes", "content_type", "sha256", "filename"}


def test_changes_and_filters_of_webhooks_are_those_of_the_api(openapi: Any) -> None:
    changes = openapi["components"]["schemas"]["WebhookPatch"]["properties"].keys()
    assert get_type_hints(WebhookChanges).keys() == changes
    parameters = openapi["paths"]["/deliveries"]["get"]["parameters"]
    names = {each["name"] for each in parameters if each["in"] == "query"}
    assert get_type_hints(DeliveryFilters).keys() == names - {"limit", "cursor"}
