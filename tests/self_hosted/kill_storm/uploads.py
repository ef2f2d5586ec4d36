"""Uploads of one client, with and without idempotency keys."""

import base64
import hashlib
import io
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from PIL import Image

from tests.samples import encoded
from tests.self_hosted.kill_storm.ledger import Ledger
from tests.self_hosted.kill_storm.requests import Requests


class Uploader:
    """Sends new images, each until its record or its ticket's upload is acknowledged."""

    def __init__(
        self, requests: Requests, ledger: Ledger, stop: threading.Event, dice: random.Random, number: int
    ) -> None:
        self._requests = requests
        self._ledger = ledger
        self._stop = stop
        self._dice = dice
        self._serial = number * 1_000_000

    def send(self, http: httpx.Client, kind: str) -> tuple[str, bytes]:
        """Send a new image in this way. Return its id and its bytes."""
        body = self._body(large="ticket" in kind and self._dice.random() < 0.2)
        match kind:
            case "form":
                return self.post_form(http, body), body
            case "base64":
                return self._base64(http, body), body
            case "keyed form":
                return self._keyed_form(http, body), body
            case _:
                return self._ticket(http, body, keyed=kind == "keyed ticket"), body

    def post_form(self, http: httpx.Client, body: bytes) -> str:
        """Send the image as a form."""
        answer = self._requests.answer(lambda: http.post("/upload", files={"file": ("p.jpg", body)}), {200, 201})
        return str(answer.json()["id"])

    def _base64(self, http: httpx.Client, body: bytes) -> str:
        sent = {"filename": "p.jpg", "image_base64": base64.b64encode(body).decode()}
        answer = self._requests.answer(lambda: http.post("/upload", json=sent), {200, 201})
        return str(answer.json()["id"])

    def _keyed_form(self, http: httpx.Client, body: bytes) -> str:
        """Send the image with a key, sometimes twice at once, and often once more after the answer.

        `on_duplicate=create` stores known bytes again, so only the key prevents a second image.
        """
        key = self._new_key()

        def post() -> httpx.Response:
            return http.post(
                "/upload",
                params={"on_duplicate": "create"},
                files={"file": ("p.jpg", body)},
                data={"metadata": json.dumps({"key": key})},
                headers={"Idempotency-Key": key},
            )

        def answered() -> str:
            return str(self._requests.answer(post, {200, 201}).json()["id"])

        if self._dice.random() < 0.3:
            with ThreadPoolExecutor(2) as pool:
                futures = [pool.submit(answered) for _ in range(2)]
            image_id, other_id = (future.result() for future in futures)
            self._ledger.events["key used twice at once"] += 1
            if other_id != image_id:
                self._requests.surprise(f"key {key} has two images: {image_id}, {other_id}")
        else:
            image_id = answered()
        self._ledger.keys[key] = image_id
        if self._dice.random() < 0.5:
            again = self._requests.answer(post, {200, 201})
            self._ledger.events["key repeated"] += 1
            if (again.json()["id"], again.headers.get("idempotency-replayed")) != (image_id, "true"):
                self._requests.surprise(f"key {key} was used for {image_id} and not replayed: {again.text[:300]}")
        return image_id

    def _ticket(self, http: httpx.Client, body: bytes, *, keyed: bool) -> str:
        kind = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
        wanted: dict[str, Any] = {
            "bytes": len(body),
            "content_type": kind,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        headers: dict[str, str] = {}
        while True:
            if keyed:
                headers = {"Idempotency-Key": self._new_key()}
                wanted["metadata"] = {"key": headers["Idempotency-Key"]}
            image_id = self._use_ticket(http, body, wanted, headers)
            if image_id is not None:
                if keyed:
                    self._ledger.keys[headers["Idempotency-Key"]] = image_id
                return image_id

    def _use_ticket(
        self, http: httpx.Client, body: bytes, wanted: dict[str, Any], headers: dict[str, str]
    ) -> str | None:
        """Request a ticket and send the bytes. Return the id of the image, or None if the ticket was removed.

        The same request returns the same ticket with a new url, or the record once the bytes are there.
        """
        while True:
            expected = {200, 201, 410} if headers else {200, 201}
            answer = self._requests.answer(lambda: http.post("/upload/direct", json=wanted, headers=headers), expected)
            if answer.status_code == 410:  # the key's ticket was removed, because its time was over
                return None
            ticket = answer.json()
            if "url" not in ticket:  # the bytes are there, though the answer was lost
                return str(ticket["id"])

            def put(ticket: dict[str, Any] = ticket) -> httpx.Response:
                sent = {**ticket["headers"], "Content-Length": str(len(body))}
                return http.put(ticket["url"], headers=sent, content=self._slowly(body))

            stored = self._requests.answer(put, {200, 403, 410, 412})
            if stored.status_code in {200, 412}:  # 412: they are there, though the answer was lost
                return str(ticket["id"])

    def _slowly(self, body: bytes) -> Iterator[bytes]:
        pieces = self._dice.randrange(2, 10)
        step = -(-len(body) // pieces)
        for start in range(0, len(body), step):
            self._stop.wait(self._dice.uniform(0, 0.5))
            yield body[start : start + step]

    def _new_key(self) -> str:
        key = f"key-{self._serial}-{self._dice.randrange(10**9)}"
        self._ledger.keys[key] = None
        return key

    def _body(self, *, large: bool) -> bytes:
        self._serial += 1
        if not large:
            return encoded.__wrapped__("JPEG", 300 + self._serial % 200, 200, seed=self._serial)
        out = io.BytesIO()  # more than is kept in memory
        noise = random.Random(self._serial).randbytes(3 * 700 * 560)
        Image.frombytes("RGB", (700, 560), noise).save(out, "PNG", compress_level=0)
        return out.getvalue()
