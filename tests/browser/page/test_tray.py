"""The tray of the page: three at a time, cancel, try again, leaving, and many files."""

from typing import Any

from tests.browser.page.conftest import pytestmark  # noqa: F401 - when these tests can run
from tests.browser.page.test_upload import file, filenames, hold_uploads, jpeg, row
from tests.browser.waiting import until
from tests.running_server import Server

LEAVE = "setTimeout(() => location.assign('docs'))"


def test_three_are_sent_at_once_and_each_can_be_canceled_and_tried_again(page: Any, server: Server) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    held = hold_uploads(page)
    names = [f"queued {number}.jpg" for number in range(5)]
    page.locator("#files").set_input_files([file(name, jpeg(30 + at)) for at, name in enumerate(names)])
    page.locator('.tray-row[data-state="sending"]').nth(2).wait_for()
    assert page.locator('.tray-row[data-state="waiting"]').count() == 2
    until(page, lambda: len(held) == 3)
    page.get_by_text("Uploading 1 of 5").wait_for()
    page.get_by_role("button", name="Cancel queued 0.jpg").click()
    row(page, "queued 0.jpg", "canceled").wait_for()
    row(page, "queued 3.jpg", "sending").wait_for()  # it was the next in line
    page.get_by_role("button", name="Cancel queued 4.jpg").click()
    row(page, "queued 4.jpg", "canceled").wait_for()
    until(page, lambda: len(held) == 4)
    for each in held:
        if "queued+0.jpg" not in each.request.url:
            each.continue_()
    for name in names[1:4]:
        row(page, name, "done").wait_for()
    page.get_by_text("3 uploads finished, 2 canceled").wait_for()
    assert filenames(server).isdisjoint({names[0], names[4]})
    page.unroute("**/upload?*")
    page.get_by_role("button", name="Try queued 0.jpg again").click()
    row(page, names[0], "done").wait_for()
    assert names[0] in filenames(server)


def test_leaving_asks_while_uploads_are_not_finished(page: Any) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    held = hold_uploads(page)
    page.get_by_role("searchbox").click()  # browsers ask only after an interaction
    page.locator("#files").set_input_files(file("leaving.jpg", jpeg(40)))
    row(page, "leaving.jpg", "sending").wait_for()
    until(page, lambda: held)
    with page.expect_event("dialog") as asked:
        page.evaluate(LEAVE)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    held[0].continue_()
    row(page, "leaving.jpg", "done").wait_for()
    page.evaluate(LEAVE)  # without a question, which nobody would answer
    page.locator(".swagger-ui").first.wait_for()


def test_the_tray_of_many_files_has_few_rows(page: Any) -> None:
    page.goto("/")
    page.locator(".primary").first.wait_for()
    hold_uploads(page)
    page.locator("#files").set_input_files([file(f"many {at}.jpg", jpeg(41)) for at in range(250)])
    page.get_by_text("150 more").wait_for()
    assert page.locator(".tray-row").count() == 100
    page.get_by_role("button", name="Cancel all").click()
    page.get_by_text("0 uploads finished, 250 canceled").wait_for()
