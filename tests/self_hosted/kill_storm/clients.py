"""Clients that upload images in every way, edit them, and delete and restore some."""

import contextlib
import random
import threading

import httpx

from app.domain.access.api_keys import Scope, new_key
from tests.running_server import Server
from tests.self_hosted.kill_storm.ledger import Fate, Ledger
from tests.self_hosted.kill_storm.requests import Requests, Stopped
from tests.self_hosted.kill_storm.uploads import Uploader

OWNER = "ann"
SECRET, ENTRY = new_key(OWNER, [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])
KEY = {"Authorization": f"Bearer {SECRET}"}
#: Ways to send images, and the number of clients of each.
KINDS = {"form": 2, "base64": 1, "ticket": 3, "keyed form": 2, "keyed ticket": 2}


class Client:
    """One client, which sends an image and changes it, then the next."""

    def __init__(self, server: Server, ledger: Ledger, stop: threading.Event, number: int, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._stop = stop
        self._requests = Requests(ledger, stop)
        self._dice = random.Random(f"{seed} {number}")
        self._uploader = Uploader(self._requests, ledger, stop, self._dice, number)

    def run(self, kind: str) -> None:
        """Send images in this way until the storm ends."""
        with (
            httpx.Client(base_url=self._server.url, timeout=60, headers=KEY) as http,
            contextlib.suppress(Stopped),
        ):
            while True:
                image_id, body = self._uploader.send(http, kind)
                self._note(image_id, body, kind)
                while self._dice.random() < 0.6:
                    self._change(http, image_id)
                while self._ledger.fates[image_id] is Fate.LIVE and self._dice.random() < 0.5:
                    self._dispose(http, image_id, body)
                self._stop.wait(self._dice.uniform(0, 0.5))

    def _note(self, image_id: str, body: bytes, kind: str) -> None:
        self._ledger.acknowledged[image_id] = body
        self._ledger.fates[image_id] = Fate.LIVE
        self._ledger.kinds[kind] += 1
        if "ticket" in kind:
            self._ledger.tickets.add(image_id)

    def _change(self, http: httpx.Client, image_id: str) -> None:
        """Edit, publish, hide or reprocess an image."""
        path = f"/images/{image_id}"
        match self._dice.choice(["title", "visibility", "visibility", "focal point", "reprocess"]):
            case "title" as kind:
                self._edit(http, image_id, {"title": f"title {self._dice.random()}"})
            case "visibility" as kind:
                self._edit(http, image_id, {"visibility": self._dice.choice(["public", "private"])})
            case "focal point" as kind:
                point = {"x": self._dice.random(), "y": 0.5}
                self._requests.answer(lambda: http.patch(path, json={"focal_point": point}), {200})
            case kind:
                self._requests.answer(lambda: http.post(f"{path}/reprocess"), {202})
        self._ledger.edits[kind] += 1

    def _edit(self, http: httpx.Client, image_id: str, fields: dict[str, str]) -> None:
        self._ledger.maybe[image_id] = fields
        self._requests.answer(lambda: http.patch(f"/images/{image_id}", json=fields), {200})
        self._ledger.edited.setdefault(image_id, {}).update(fields)
        del self._ledger.maybe[image_id]

    def _dispose(self, http: httpx.Client, image_id: str, body: bytes) -> None:
        """Delete an image at once, or move it to the trash and leave it there, restore it, or delete it then."""
        if self._dice.random() < 0.2:
            self._delete(http, image_id)
            return
        self._trash(http, image_id)
        match self._dice.choice(["keep", "keep", "restore", "restore", "delete", "upload again"]):
            case "restore":
                self._restore(http, image_id)
            case "delete":
                self._delete(http, image_id)
            case "upload again":
                self._upload_again(http, image_id, body)
            case _:
                self._ledger.events["left in the trash"] += 1

    def _trash(self, http: httpx.Client, image_id: str) -> None:
        self._ledger.fates[image_id] = Fate.UNSURE_IF_TRASHED
        self._requests.answer(lambda: http.delete(f"/images/{image_id}"), {204})
        self._ledger.fates[image_id] = Fate.TRASHED
        self._ledger.trashed.add(image_id)
        self._ledger.events["trash"] += 1

    def _delete(self, http: httpx.Client, image_id: str) -> None:
        self._ledger.fates[image_id] = Fate.UNSURE_IF_DELETED
        self._requests.answer(lambda: http.delete(f"/images/{image_id}", params={"permanent": True}), {204})
        self._ledger.fates[image_id] = Fate.DELETED
        self._ledger.events["permanent delete"] += 1

    def _restore(self, http: httpx.Client, image_id: str) -> None:
        """Restore the image, which may be deleted by now only if its time in the trash was made to end."""
        self._ledger.fates[image_id] = Fate.UNSURE_IF_TRASHED
        answer = self._requests.answer(lambda: http.post(f"/images/{image_id}/restore"), {200, 404})
        if answer.status_code == 404:
            self._ledger.fates[image_id] = Fate.DELETED
            self._ledger.events["restore too late"] += 1
            if image_id not in self._ledger.due:
                self._requests.surprise(f"{image_id} was deleted from the trash before its time")
            return
        self._ledger.fates[image_id] = Fate.LIVE
        self._ledger.due.discard(image_id)
        self._ledger.events["restore"] += 1

    def _upload_again(self, http: httpx.Client, image_id: str, body: bytes) -> None:
        """Upload the bytes of a trashed image, sometimes next to its restore: they make a new image."""
        new_id = self._uploader.post_form(http, body)
        if new_id == image_id:
            self._requests.surprise(f"an upload was answered with the image {image_id} in the trash")
        self._note(new_id, body, "form")
        self._ledger.events["upload again"] += 1
        if self._dice.random() < 0.5:
            self._restore(http, image_id)
