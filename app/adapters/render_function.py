"""`OnDemandRenderer` in a Lambda function."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import RendererBusy, Unavailable
from app.domain.ports import RenderedSize
from app.domain.ports.render_messages import MAX_MESSAGE, RenderRequest, read_answer
from app.domain.sizes.operation import Operation

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2
#: All executions that the function or the account may have are in use.
_BUSY = frozenset({"TooManyRequestsException", "EC2ThrottledException"})


class FunctionRenderer:
    """Invokes the function with this name and waits for its answer.

    `connect` makes a botocore client of Lambda, whose time-outs and retries are those of a call. It is called for the
    first size, because most requests to the API ask for none.
    """

    def __init__(self, connect: Callable[[], Any], function: str) -> None:
        self._connect = connect
        self._function = function

    @cached_property
    def _client(self) -> Any:
        return self._connect()

    def render(self, image_id: str, operation: Operation) -> RenderedSize:
        """See `OnDemandRenderer.render`."""
        request = RenderRequest(image_id=image_id, operation=operation.name)
        try:
            answer = self._client.invoke(FunctionName=self._function, Payload=request.model_dump_json().encode())
            content = answer["Payload"].read(MAX_MESSAGE + 1)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _BUSY:
                raise RendererBusy(_RETRY_SECONDS) from None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        if "FunctionError" in answer:  # it timed out, or had no memory left
            log.warning("the function that renders sizes failed", extra={"error": answer["FunctionError"]})
            raise Unavailable("The renderer of sizes failed.")
        return read_answer(content).unpack(image_id)


def _unavailable(error: Exception) -> Unavailable:
    log.warning("the function that renders sizes cannot be invoked", exc_info=error)
    return Unavailable("The renderer of sizes cannot be reached.")
