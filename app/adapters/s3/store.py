"""`ObjectStore` on S3 and on stores with the same protocol."""

import io
import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.disk import PortFile, port_errors, unnamed_file
from app.domain.errors import AlreadyExists, Missing, PortError, Unavailable
from app.domain.keys import ON_DEMAND, is_public
from app.domain.ports import ObjectInfo

log = logging.getLogger(__name__)

_ATTEMPTS = 5
_BASE_SECONDS = 0.05
_DELETE_BATCH = 1000  # limit of DeleteObjects
#: The bytes under a key never change, so browsers can cache them. Signed urls of these objects replace this header.
_IMMUTABLE = "public, max-age=31536000, immutable"
#: A public object can become private: caches forget it within a day.
_PUBLIC = "public, max-age=86400"
#: A size on demand can change with the focal point.
_SIZE = "public, max-age=3600"
_WRITER = "writer"  # metadata of an object: id of the call that wrote it
_EXISTS = frozenset({"PreconditionFailed", "412"})
_CONFLICT = frozenset({"ConditionalRequestConflict", "409", "OperationAborted"})
# Without the right to list the bucket, S3 answers AccessDenied for a missing key.
_ABSENT = frozenset({"NoSuchKey", "AccessDenied"})
# A response to HEAD has no body, so the status is its only code.
_HEAD_ABSENT, _HEAD_REFUSED = "404", "403"


class S3Store:
    """Objects in one bucket. `client` is a botocore client of S3, which has its own time-outs and retries."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def create(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """See `ObjectStore.create`.

        Each call writes its own id into the object's metadata. A call whose response was lost finds out by this id that
        the object is its own.
        """
        writer = uuid4().hex
        for attempt in range(_ATTEMPTS):
            try:
                self._put(key, body, size, content_type, IfNoneMatch="*", Metadata={_WRITER: writer})
            except (ClientError, BotoCoreError) as error:
                code = _code(error)
                if code in _CONFLICT:
                    _pause(attempt)
                    continue
                if self._is_by(writer, key):
                    return
                if code in _EXISTS:
                    raise AlreadyExists(key) from None
                raise _unavailable(error) from error
            return
        raise Unavailable("Other requests are writing the same object.")

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, lasting: bool = True) -> None:  # noqa: ARG002 - every object is lasting
        """See `ObjectStore.put`."""
        with _translated():
            self._put(key, body, size, content_type, CacheControl=_cache_control(key))

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`. The store copies the bytes; the copy gets the cache header of its own key, for which
        S3 wants the content type again."""
        content_type = self._head(source)["ContentType"]
        try:
            self._client.copy_object(
                Bucket=self._bucket,
                Key=target,
                CopySource={"Bucket": self._bucket, "Key": source},
                MetadataDirective="REPLACE",
                ContentType=content_type,
                CacheControl=_cache_control(target),
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _ABSENT:  # removed meanwhile, or the target may not be written
                self._get(source)["Body"].close()
            raise _unavailable(error) from error

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See `ObjectStore.open`."""
        return self._opened(key)

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        body = self._get(key)["Body"]
        try:
            yield io.BufferedReader(_Readable(body), 256 * 1024)
        finally:
            body.close()  # closes the connection if bytes are left, rather than reading them

    def share(self, key: str, path: Path) -> bool:  # noqa: ARG002 - a bucket shares no file
        """See `ObjectStore.share`."""
        return False

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        try:
            found = self._head(key)
        except Missing:
            return None
        return ObjectInfo(key, found["ContentLength"], found["LastModified"])

    def find(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.find`. Uses a list, which S3 answers or refuses. The key itself is the first result."""
        with _translated():
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        for item in answer.get("Contents", []):
            if item["Key"] == key:
                return ObjectInfo(key, item["Size"], item["LastModified"])
        return None

    def spool(self) -> BinaryIO:
        """See `ObjectStore.spool`. Uses the system's temporary folder, the only writable one of a Lambda function."""
        with port_errors(Unavailable):
            return _SpoolFile(unnamed_file(None), "r+")

    def check_space(self, size: int) -> None:
        """See `ObjectStore.check_space`. A bucket is never full."""

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with _translated():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore.delete_prefix`."""
        keys = [info.key for info in self.list(prefix)]
        for start in range(0, len(keys), _DELETE_BATCH):
            self._delete(keys[start : start + _DELETE_BATCH])
        return len(keys)

    def _delete(self, keys: list[str]) -> None:
        """Delete a batch. Retry the keys that S3 refused, as it does when busy."""
        for attempt in range(_ATTEMPTS):
            with _translated():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
            errors = answer.get("Errors", [])
            if not errors:
                return
            log.warning("S3 did not delete some objects", extra={"count": len(errors), "code": errors[0].get("Code")})
            keys = [error["Key"] for error in errors]
            _pause(attempt)
        raise Unavailable("Some objects could not be deleted.")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        with _translated():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield ObjectInfo(item["Key"], item["Size"], item["LastModified"])

    def ping(self) -> None:
        """See `ObjectStore.ping`. Uses a GET: its errors tell a missing bucket and wrong keys from a missing object."""
        with suppress(Missing):
            self._get("originals/ping")["Body"].close()

    def _head(self, key: str) -> dict[str, Any]:
        """Return size, time and content type. Raises `Missing`. Repeats a refused request as a GET, which tells a
        missing object from bad credentials."""
        try:
            found: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) == _HEAD_ABSENT:
                raise Missing(key) from None
            if _code(error) != _HEAD_REFUSED:
                raise _unavailable(error) from error
            found = self._get(key)
            found["Body"].close()
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return found

    def _get(self, key: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in _ABSENT:
                raise Missing(key) from None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return answer

    def _is_by(self, writer: str, key: str) -> bool:
        """Return True if that call wrote the object under the key."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError):
            return False
        return bool(found["Metadata"].get(_WRITER) == writer)

    def _put(self, key: str, body: BinaryIO, size: int, content_type: str, **more: Any) -> None:
        start = body.tell()
        length = body.seek(0, os.SEEK_END) - start
        body.seek(start)
        if length != size:
            raise Unavailable(f"The body is {length} bytes long, not {size}.")
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=_Rest(body, start) if start else body,
                ContentLength=size,
                ContentType=content_type,
                **more,
            )
        except ClientError:
            body.seek(start)
            raise


class _SpoolFile(PortFile):
    no_space = Unavailable  # a retry may reach another function with free space


class _Readable(io.RawIOBase):
    """A response body as a stream that raises errors of the port."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _translated():
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Rest(io.RawIOBase):
    """The rest of a stream after a position, which counts as 0: the SDK seeks to 0 before a retry."""

    def __init__(self, body: BinaryIO, start: int) -> None:
        self._body = body
        self._start = start

    def read(self, size: int = -1) -> bytes:
        return self._body.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._body.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        return self._body.tell() - self._start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PortError:
        raise
    except (ClientError, BotoCoreError) as error:
        raise _unavailable(error) from error


def _cache_control(key: str) -> str:
    if key.startswith(ON_DEMAND):
        return _SIZE
    return _PUBLIC if is_public(key) else _IMMUTABLE


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, _BASE_SECONDS * 2**attempt))  # noqa: S311 - jitter need not be secret


def _code(error: ClientError | BotoCoreError) -> str:
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""


def _unavailable(error: Exception) -> Unavailable:
    log.warning("S3 refused or did not answer", exc_info=error)
    return Unavailable("The object store cannot be reached.")
