"""API keys on the page: asked for, kept by the tab only, and what a key may not do is not offered."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import DROP, file, jpeg, row
from tests.running_server import Server, finished

ALL = (Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE)
KEYS = {
    "all": new_key("ann", ALL),
    "no delete": new_key("ann", ALL[:3]),
    "read": new_key("ann", [Scope.READ]),
    "upload": new_key("ann", [Scope.UPLOAD]),
    "admin": new_key("root", [Scope.ADMIN]),
}
SETTINGS = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": ",".join(str(entry) for _, entry in KEYS.values())}


@pytest.fixture(scope="module")
def image(server: Server) -> str:
    """Id of an image of the owner of most keys."""
    answer = server.client.post("/upload", files={"file": ("ann.jpg", jpeg(1))}, headers=bearer("all"))
    record = finished(server, answer.json()["id"], **bearer("all"))
    assert record["status"] == "ready"
    return str(record["id"])


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[name][0]}"}


def enter(page: Any, key: str) -> None:
    page.get_by_role("dialog", name="API key").get_by_role("textbox").or_(page.locator("#key")).first.fill(key)
    page.get_by_role("button", name="Continue").click()


def open_with(page: Any, name: str) -> None:
    page.goto("/")
    enter(page, KEYS[name][0])
    page.locator("dialog.small-window").wait_for(state="detached")


def menu(page: Any) -> list[str]:
    page.get_by_role("button", name="Menu").click()
    page.locator("#menu").wait_for()
    items: list[str] = page.locator("#menu .menu-item").all_inner_texts()
    page.keyboard.press("Escape")
    return items


def test_a_key_is_asked_for_and_kept_for_the_session_only(new_page: Callable[..., Any], image: str) -> None:
    page = new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.goto("/")
    page.get_by_text("This service asks for an API key.").wait_for()
    assert not [url for url in seen if "/images" in url]  # nothing is asked for in vain
    enter(page, "dk_wrong")
    page.get_by_text("The key is not valid. Enter another one.").wait_for()
    enter(page, "schlüssel")
    page.get_by_text("The key is not valid. Enter another one.").wait_for()
    enter(page, KEYS["all"][0])
    page.locator(".tile.loaded").wait_for()
    assert not [url for url in seen if "dk_" in url]
    page.reload()
    page.locator(".tile.loaded").wait_for()  # the tab has kept it
    page.goto(f"/?image={image}")
    page.locator("#viewer[open]").wait_for()
    kept = page.evaluate("[Object.keys(localStorage).filter(name => /key/.test(name)), document.cookie]")
    assert kept == [[], ""]
    with page.context.expect_page() as opened:
        page.evaluate("window.open('/', '_blank', 'noopener')")
    other = opened.value
    other.get_by_text("This service asks for an API key.").wait_for()  # another tab has not
    other.close()
    page.goto("/")
    page.locator(".tile.loaded").wait_for()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Forget the API key").click()
    page.get_by_text("This service asks for an API key.").wait_for()


def test_without_a_key_nothing_is_shown_and_one_can_be_entered_later(page: Any, image: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("An API key is needed").wait_for()
    assert page.get_by_role("button", name="Upload").count() == 0
    assert page.evaluate(DROP, ["no.jpg", [1]]) == [False, False]
    page.get_by_role("button", name="Enter a key").click()
    enter(page, KEYS["all"][0])
    page.locator(".tile.loaded").wait_for()
    page.get_by_role("button", name="Upload").wait_for()


def test_a_key_that_only_reads_is_offered_nothing_else(page: Any, image: str) -> None:
    open_with(page, "read")
    page.locator(".tile.loaded").wait_for()
    assert page.get_by_role("button", name="Upload").count() == 0
    assert menu(page)[:2] == ["Change the API key", "Forget the API key"]
    assert page.evaluate(DROP, ["no.jpg", [1]]) == [False, False]
    page.locator(".tile-open").focus()
    page.keyboard.press("Delete")
    page.get_by_text("This key cannot delete. It has: read.").first.wait_for()
    page.keyboard.press("Space")
    page.get_by_text("1 selected").first.wait_for()
    for name in ("Tag", "Make public", "Delete"):
        assert page.get_by_role("button", name=name, exact=True).count() == 0, name
    page.goto(f"/?image={image}")
    page.locator("#viewer[open] #field-title").wait_for()
    assert page.locator("#field-title").is_disabled()
    for name in ("Delete", "Process again", "Create a link"):
        assert page.locator("#viewer").get_by_role("button", name=name).count() == 0, name


def test_a_key_without_delete_can_do_the_rest(page: Any, image: str) -> None:
    open_with(page, "no delete")
    page.locator(".tile.loaded").first.wait_for()
    page.locator(".tile-open").first.focus()
    page.keyboard.press("Delete")
    page.get_by_text("This key cannot delete. It has: upload, read, edit.").first.wait_for()
    page.locator("#files").set_input_files(file("sent.jpg", jpeg(2)))
    row(page, "sent.jpg", "done").wait_for()
    page.goto(f"/?image={image}")
    page.locator("#viewer[open] #field-title").wait_for()
    assert page.locator("#field-title").is_enabled()
    assert page.locator("#viewer").get_by_role("button", name="Delete").count() == 0


def test_a_key_that_only_uploads_sees_no_images(page: Any, server: Server, image: str) -> None:
    seen: list[str] = []
    page.on("request", lambda request: request.method == "GET" and seen.append(request.url))
    open_with(page, "upload")
    page.get_by_text("This key cannot list images. It has: upload.").wait_for()
    page.locator("#files").set_input_files([file("blind.jpg", jpeg(3)), file("known.jpg", jpeg(1))])
    row(page, "blind.jpg", "done").wait_for()
    row(page, "known.jpg", "known").wait_for()
    page.get_by_text("2 uploads finished").wait_for()
    assert not [url for url in seen if "/images" in url]
    names = {item["filename"] for item in server.client.get("/images", headers=bearer("all")).json()["items"]}
    assert "blind.jpg" in names


def test_an_admin_has_every_scope_and_another_key_fewer(page: Any, image: str) -> None:
    open_with(page, "admin")
    page.get_by_text("No images yet").wait_for()  # those of this owner
    page.get_by_role("button", name="Upload").wait_for()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Change the API key").click()
    enter(page, KEYS["read"][0])
    page.get_by_role("button", name="Upload").wait_for(state="detached")
    page.locator(".tile.loaded").first.wait_for()


def test_an_admin_finds_the_images_of_another_owner_and_adds_to_them(page: Any, server: Server, image: str) -> None:
    open_with(page, "admin")
    page.get_by_text("You see your own images. Those of another owner are in Filters.").wait_for()
    page.get_by_role("button", name="Filters").click()
    owner = page.get_by_label("Owner")
    page.locator("#owners option[value=ann]").wait_for(state="attached")
    owner.fill("not an owner")
    owner.press("Enter")
    page.wait_for_function("document.querySelector('[list=owners]').getAttribute('aria-invalid') === 'true'")
    owner.fill("ann")
    owner.press("Enter")
    page.locator(f".tile-open[href='?image={image}']").wait_for()
    assert "owner=ann" in page.url
    page.get_by_role("button", name="Filters: 1").wait_for()
    page.keyboard.press("Escape")
    page.locator("#files").set_input_files([file("for ann.jpg", jpeg(5)), file("known to ann.jpg", jpeg(1))])
    row(page, "for ann.jpg", "done").wait_for()
    row(page, "known to ann.jpg", "known").wait_for()
    page.get_by_role("link", name="for ann.jpg").wait_for()
    names = {item["filename"] for item in server.client.get("/images", headers=bearer("all")).json()["items"]}
    assert "for ann.jpg" in names


def test_only_an_admin_is_offered_other_owners(page: Any, image: str) -> None:
    page.goto("/?owner=root")
    enter(page, KEYS["all"][0])
    page.locator(f".tile-open[href='?image={image}']").wait_for()  # its own: the address is of no use to it
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Type").wait_for()
    assert not page.get_by_label("Owner").is_visible()


def test_a_key_that_has_lost_its_right_is_asked_for_again(page: Any, image: str, expected: list[str]) -> None:
    expected.append("status of 401")
    open_with(page, "all")
    page.locator(".tile.loaded").first.wait_for()
    page.evaluate("sessionStorage.setItem('darkroom.key', 'dk_revoked')")
    page.locator("#files").set_input_files(file("again.jpg", jpeg(4)))
    page.get_by_text("The key is not valid. Enter another one.").wait_for()
    enter(page, KEYS["all"][0])
    row(page, "again.jpg", "done").wait_for()
