"""Deletion on the page where there is no trash: it is for good, and asks before."""

from typing import Any

import pytest

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_gallery import expect_total, select, show, upload
from tests.running_server import Server

SETTINGS = {"DARKROOM_TRASH_DAYS": "0"}


def status(server: Server, image_id: str) -> int:
    return server.client.get(f"/images/{image_id}").status_code


def ask(page: Any, question: str, consequence: str, action: str) -> Any:
    """Check the texts of the open question and return its window."""
    window = page.locator(".small-window[open]")
    window.get_by_role("heading", name=question, exact=True).wait_for()
    assert window.locator("p").inner_text() == consequence
    assert window.get_by_role("button").all_inner_texts() == ["Cancel", action]
    return window


def test_deleting_from_the_gallery_asks_and_is_for_good(page: Any, server: Server) -> None:
    ids = upload(server, "lost", 4)
    show(page, "tag=lost", 4)
    assert page.get_by_role("button", name="Trash").count() == 0
    for number in (3, 2, 1):
        select(page, f"lost {number}.jpg")
    delete = page.get_by_role("button", name="Delete", exact=True)
    delete.click()
    words = ("Delete 3 images for good?", "Their URLs stop working.", "Delete 3 images")
    ask(page, *words).get_by_role("button", name="Cancel").click()
    page.locator(".small-window").wait_for(state="detached")
    assert [status(server, each) for each in ids] == [200] * 4
    delete.click()
    ask(page, *words).get_by_role("button", name="Delete 3 images").click()
    page.locator(".toast").get_by_text("Deleted 3 images.").wait_for()
    expect_total(page, 1)
    assert page.get_by_role("button", name="Undo").count() == 0
    assert [status(server, each) for each in ids] == [404, 404, 404, 200]


@pytest.mark.parametrize("way", ["button", "key"])
def test_deleting_an_open_image_asks_and_is_for_good(page: Any, server: Server, way: str) -> None:
    (image_id,) = upload(server, f"open {way}", 1)
    show(page, f"tag=open+{way}", 1)
    page.locator(".tile-open").click()
    dialog = page.locator("#viewer[open]")
    dialog.get_by_role("heading", name="Sizes").wait_for()
    page.locator(".viewer-preview").wait_for(state="detached")  # the image is loaded

    def delete() -> Any:
        if way == "key":
            page.keyboard.press("Delete")
        else:
            dialog.get_by_role("button", name="Delete", exact=True).click()
        return ask(page, "Delete this image for good?", "Its URLs stop working.", "Delete image")

    delete()
    page.keyboard.press("Escape")
    page.locator(".small-window").wait_for(state="detached")
    assert dialog.is_visible()
    assert status(server, image_id) == 200
    delete().get_by_role("button", name="Delete image").click()
    page.locator("#viewer:not([open])").wait_for(state="attached")
    page.locator(".toast").get_by_text("Deleted 1 image.").wait_for()
    assert page.get_by_role("button", name="Undo").count() == 0
    assert status(server, image_id) == 404
    page.get_by_text("No images tagged").wait_for()
