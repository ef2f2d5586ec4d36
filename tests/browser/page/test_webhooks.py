"""Webhook endpoints and deliveries on the page: for admins, by pointer and by keyboard, on every screen."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.browser.axe import complaints
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_keys import enter, menu
from tests.browser.page.test_upload import jpeg
from tests.browser.waiting import until
from tests.running_server import Server, free_port
from tests.web_server import Reply, WebServer, answer, web_server

KEYS = {"admin": new_key("root", [Scope.ADMIN]), "reader": new_key("ann", [Scope.READ, Scope.EDIT])}
SETTINGS = {
    "DARKROOM_AUTH": "required",
    "DARKROOM_API_KEYS": ",".join(str(entry) for _, entry in KEYS.values()),
    "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true",
}
ADMIN = {"Authorization": f"Bearer {KEYS['admin'][0]}"}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


class Receiver:
    """A receiver whose reply a test can change."""

    def __init__(self) -> None:
        self.reply: Reply = answer("204 No Content")
        self.web: WebServer

    def answer(self, connection: socket.socket) -> None:
        self.reply(connection)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with web_server(made.answer, names=None) as made.web:
        yield made


@pytest.fixture(autouse=True)
def _no_endpoints(server: Server) -> None:
    for each in server.client.get("/webhooks", headers=ADMIN).json()["items"]:
        server.client.delete(f"/webhooks/{each['id']}", headers=ADMIN)


def create(server: Server, url: str, **fields: Any) -> dict[str, Any]:
    made = server.client.post("/webhooks", json={"url": url, **fields}, headers=ADMIN)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def delivery_of(server: Server, status: str, **query: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = server.client.get(
        "/deliveries", params={"status": status, **query}, headers=ADMIN
    ).json()["items"]
    return found[0] if found else {}


def opened(page: Any, key: str = "admin") -> Any:
    page.goto("/?webhooks=")
    enter(page, KEYS[key][0])
    panel = page.get_by_role("dialog", name="Webhooks")
    panel.get_by_role("listitem").first.wait_for()
    return panel


def row(panel: Any, url: str) -> Any:
    return panel.get_by_role("list", name="Endpoints").get_by_role("listitem").filter(has_text=url)


def test_only_admins_see_webhooks(new_page: Callable[..., Any], expected: list[str]) -> None:
    expected.append("status of 401")
    page = new_page()
    page.goto("/?webhooks=")
    enter(page, KEYS["reader"][0])
    page.get_by_text("No images yet").wait_for()
    assert "Webhooks" not in menu(page)
    assert page.locator("dialog[open]").count() == 0
    other = new_page()
    other.goto("/")
    enter(other, KEYS["admin"][0])
    other.get_by_text("No images yet").wait_for()
    assert "Webhooks" in menu(other)
    other.get_by_role("button", name="Menu").click()
    other.get_by_role("button", name="Webhooks").click()
    other.get_by_text("No endpoints.").wait_for()
    assert other.url.endswith("?webhooks=")
    other.keyboard.press("Escape")
    other.locator("#webhooks[open]").wait_for(state="detached")
    until(other, lambda: "webhooks" not in other.url)


def test_an_endpoint_is_created_and_its_secret_is_shown_once(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected += ["status of 401", "status of 422"]
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    panel = opened(page)
    panel.get_by_role("button", name="Create endpoint").click()
    form = page.get_by_role("dialog", name="Create endpoint")
    form.get_by_label("URL").fill("https://ann:secret@hooks.example.com/")
    form.get_by_label("Description").fill("web shop")
    form.get_by_label("image.uploaded").uncheck()
    form.get_by_role("button", name="Create endpoint").click()
    form.get_by_role("alert").wait_for()
    assert form.get_by_label("URL").get_attribute("aria-invalid") == "true"
    assert form.get_by_label("Description").input_value() == "web shop"  # nothing is typed twice
    assert not form.get_by_label("image.uploaded").is_checked()
    assert complaints(page) == []
    form.get_by_label("URL").fill(receiver.url)
    form.get_by_role("button", name="Create endpoint").click()
    secret = page.get_by_role("dialog", name="Signing secret")
    shown = secret.get_by_label(f"Secret of {receiver.url}").input_value()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/=]{32,}", shown)
    secret.get_by_role("button", name="Copy").click()
    secret.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert complaints(page) == []
    secret.get_by_role("button", name="Close").click()
    secret.wait_for(state="detached")
    assert shown not in page.content()
    made = row(panel, receiver.url)
    assert "Active" in made.inner_text()
    assert "web shop · image.ready, image.failed, image.updated, image.deleted" in made.inner_text()
    (stored,) = server.client.get("/webhooks", headers=ADMIN).json()["items"]
    assert stored["events"] == ["image.ready", "image.failed", "image.updated", "image.deleted"]
    # Without the permission to copy, the secret is selected.
    page.context.clear_permissions()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    made.get_by_role("button", name="Rotate secret").click()
    page.get_by_role("dialog", name="Rotate the secret?").get_by_role("button", name="Rotate secret").click()
    secret.get_by_role("button", name="Copy").click()
    secret.get_by_text("press Ctrl + C").wait_for()
    assert page.evaluate("document.activeElement.id") == "secret"
    assert page.evaluate("document.activeElement.selectionEnd") > 32
    assert page.evaluate("document.activeElement.scrollLeft") == 0  # its beginning is seen
    secret.get_by_role("button", name="Close").click()
    row(panel, "The previous secret is valid until").wait_for()


def test_an_endpoint_is_tested_disabled_enabled_and_deleted(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected.append("status of 401")
    create(server, receiver.url)
    page = new_page()
    panel = opened(page)
    made = row(panel, receiver.url)
    made.get_by_role("button", name="Test").click()
    panel.locator(".toast").get_by_text(re.compile(r"^Test delivered: 204 after [\d,]+ ms\.$")).wait_for()
    assert b"webhook.test" in receiver.web.requests[0]
    panel.get_by_role("list", name="Deliveries").get_by_text("Delivered").first.wait_for()
    receiver.reply = answer("500 Internal Server Error")
    made.get_by_role("button", name="Test").click()
    panel.locator(".toast").get_by_text(re.compile(r"^Test failed: 500 after [\d,]+ ms\.$")).wait_for()
    made.get_by_role("button", name="Disable").click()
    made.get_by_text("Disabled", exact=True).wait_for()
    assert made.get_by_role("button", name="Test").count() == 0
    # The focus stays on the control, although its row is a new one.
    assert page.evaluate("document.activeElement.textContent") == "Enable"
    made.get_by_role("button", name="Enable").click()
    made.get_by_text("Active", exact=True).wait_for()
    made.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete this endpoint?")
    question.get_by_role("button", name="Cancel").click()
    assert server.client.get("/webhooks", headers=ADMIN).json()["items"]
    made.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete endpoint").click()
    panel.get_by_text("No endpoints.").wait_for()
    assert server.client.get("/webhooks", headers=ADMIN).json()["items"] == []
    assert page.evaluate("document.activeElement.textContent") == "Create endpoint"


def test_an_endpoint_that_answers_410_can_be_enabled(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected.append("status of 401")
    create(server, receiver.url)
    receiver.reply = answer("410 Gone")
    page = new_page()
    panel = opened(page)
    made = row(panel, receiver.url)
    made.get_by_role("button", name="Test").click()
    made.get_by_text("Disabled", exact=True).wait_for()
    made.get_by_role("button", name="Enable").click()
    made.get_by_text("Active", exact=True).wait_for()


def test_deliveries_are_filtered_explained_and_sent_again(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected.append("status of 401")
    endpoint = create(server, receiver.url, events=["image.ready"])
    sent = server.client.post("/upload?wait=20", files={"file": ("a.jpg", jpeg(41))}, headers=ADMIN).json()
    page = new_page()
    until(page, lambda: delivery_of(server, "delivered", endpoint=endpoint["id"]))
    panel = opened(page)
    panel.get_by_label("Endpoint", exact=True).select_option(endpoint["id"])
    panel.get_by_role("button", name="Dead").click()
    panel.get_by_text("No dead deliveries.").wait_for()
    panel.get_by_role("button", name="Delivered", exact=True).click()
    assert panel.get_by_role("button", name="Delivered", exact=True).get_attribute("aria-pressed") == "true"
    deliveries = panel.get_by_role("list", name="Deliveries")
    line = deliveries.get_by_role("listitem").filter(has_text="image.ready")
    line.locator("summary").click()
    for text in (sent["id"], receiver.url, "evt_", "204 after"):
        line.get_by_text(text).first.wait_for()
    assert complaints(page) == []
    before = len(receiver.web.requests)
    line.get_by_role("button", name="Send again").click()
    until(page, lambda: len(receiver.web.requests) == before + 1)
    ids = [re.search(rb"(?i)webhook-id: (\S+)", each)[1] for each in receiver.web.requests]  # type: ignore[index]
    assert len(set(ids)) == 1
    line.get_by_role("button", name=sent["id"]).click()
    page.locator("#viewer[open]").wait_for()
    assert page.locator("#webhooks[open]").count() == 0


def test_more_deliveries_are_shown_page_by_page(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected.append("status of 401")
    endpoint = create(server, receiver.url)
    for _ in range(23):
        server.client.post(f"/webhooks/{endpoint['id']}/test", headers=ADMIN).raise_for_status()
    panel = opened(new_page())
    panel.get_by_label("Endpoint", exact=True).select_option(endpoint["id"])
    rows = panel.get_by_role("list", name="Deliveries").get_by_role("listitem")
    until(panel.page, lambda: rows.count() == 20)
    panel.get_by_role("button", name="Show more").click()
    until(panel.page, lambda: rows.count() == 23)
    assert not panel.get_by_role("button", name="Show more").is_visible()


def test_everything_works_by_keyboard(
    new_page: Callable[..., Any], server: Server, receiver: Receiver, expected: list[str]
) -> None:
    expected.append("status of 401")
    page = new_page()
    page.goto("/?webhooks=")
    page.locator("#key").fill(KEYS["admin"][0])
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Webhooks")
    panel.get_by_text("No endpoints.").wait_for()

    def tab_to(words: str) -> None:
        for _ in range(40):
            if page.evaluate("document.activeElement.textContent.trim()") == words:
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"no tab stop {words}")

    tab_to("Create endpoint")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Create endpoint").wait_for()
    page.keyboard.type(receiver.url)
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Signing secret").wait_for()
    page.keyboard.press("Escape")
    row(panel, receiver.url).wait_for()
    tab_to("Test")
    page.keyboard.press("Enter")
    panel.locator(".toast").get_by_text("Test delivered").wait_for()
    assert panel.is_visible()


def test_without_a_connection_the_lists_say_so(
    new_page: Callable[..., Any], server: Server, expected: list[str]
) -> None:
    expected += ["status of 401", "ERR_FAILED", "net::"]
    page = new_page()
    panel = opened(page)
    page.route("**/deliveries*", lambda route: route.abort())
    panel.get_by_role("button", name="Refresh").click()
    panel.get_by_text("Connection lost.").wait_for()
    page.unroute("**/deliveries*")
    panel.get_by_role("button", name="Try again").click()
    panel.get_by_text("Connection lost.").wait_for(state="detached")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [{"viewport": {"width": 1280, "height": 800}}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    new_page: Callable[..., Any],
    server: Server,
    receiver: Receiver,
    expected: list[str],
    theme: str,
    screen: dict[str, Any],
) -> None:
    expected.append("status of 401")
    address = f"http://127.0.0.1:{free_port()}"
    create(server, f"{address}/{'long-path-' * 12}", description="a receiver that nobody runs", events=["image.ready"])
    gone = create(server, "https://hooks.example.com/darkroom", description="web shop", owner="ann")
    server.client.patch(f"/webhooks/{gone['id']}", json={"enabled": False}, headers=ADMIN)
    failing = create(server, receiver.url)
    server.client.post(f"/webhooks/{failing['id']}/test", headers=ADMIN)
    page = new_page(color_scheme=theme, **screen)
    until(page, lambda: delivery_of(server, "delivered", endpoint=failing["id"]))
    receiver.reply = answer("503 Service Unavailable")
    server.client.post(f"/webhooks/{failing['id']}/test", headers=ADMIN)
    until(page, lambda: delivery_of(server, "pending", endpoint=failing["id"]).get("attempts"))
    with closing(page):
        panel = opened(page)
        panel.get_by_text("503 after").first.wait_for()
        panel.locator("summary").first.click()
        assert complaints(page) == []
        assert page.evaluate("document.querySelector('#webhooks').scrollWidth <= innerWidth")
        body = "document.querySelector('.panel-body')"
        assert page.evaluate(f"{body}.scrollWidth <= {body}.clientWidth")
        if screen is PHONE:
            assert min(each.bounding_box()["height"] for each in panel.locator(".button:visible").all()) >= 44
