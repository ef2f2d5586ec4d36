"""Messages between the API and a renderer in another process: on a socket, or as payloads of a function."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationError

from app.domain.errors import Full, Missing, NotRenderable, PortError, RendererBusy, Unavailable
from app.domain.models import Model
from app.domain.ports.renderer import RenderedSize
from app.domain.sizes.operation import Operation

#: Longest message in bytes.
MAX_MESSAGE = 4096

_Text = Annotated[str, Field(max_length=600)]
_Seconds = Annotated[int, Field(ge=0, le=3600)]


class RenderRequest(Model):
    """A size to render. `operation` is its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    image_id: Annotated[str, Field(max_length=64)]
    operation: Annotated[str, Field(max_length=64)]

    @classmethod
    def parse(cls, data: bytes) -> tuple[str, Operation]:
        """Return the id and the operation of a message. Raises `ValueError` for anything else."""
        request = cls.model_validate_json(data)
        return request.image_id, Operation.parse(request.operation)


class RenderAnswer(Model):
    """A rendered size, or the error of the port that the renderer has raised.

    `error` is the name of its class, `code` that of a `NotRenderable`, and `retry_after` the seconds of an
    `Unavailable`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: _Text = ""
    media_type: _Text = ""
    bytes: Annotated[int, Field(ge=0)] = 0
    etag: _Text = ""
    error: _Text | None = None
    code: _Text = ""
    detail: _Text = ""
    retry_after: _Seconds = 2

    @classmethod
    def of(cls, size: RenderedSize) -> Self:
        """Build the answer for a rendered size."""
        return cls(key=size.key, media_type=size.media_type, bytes=size.bytes, etag=size.etag)

    @classmethod
    def of_error(cls, error: PortError) -> Self:
        """Build the answer for an error. Details of other errors than `NotRenderable` stay in this process."""
        match error:
            case NotRenderable():
                return cls(error="NotRenderable", code=error.code[:600], detail=error.detail[:600])
            case Missing():
                return cls(error="Missing")
            case Unavailable():
                known = next((each for each in (RendererBusy, Full) if isinstance(error, each)), Unavailable)
                return cls(error=known.__name__, retry_after=min(3600, max(0, error.retry_after)))
        return cls(error="Unavailable")

    def unpack(self, image_id: str) -> RenderedSize:
        """Return the size, or raise the error."""
        match self.error:
            case None:
                return RenderedSize(self.key, self.media_type, self.bytes, self.etag)
            case "NotRenderable":
                raise NotRenderable(self.code, self.detail)
            case "Missing":
                raise Missing(image_id)
            case "RendererBusy":
                raise RendererBusy(self.retry_after)
            case "Full":
                raise Full("The disk has no space for another size.")
        raise Unavailable("The renderer of sizes failed.", self.retry_after)


def read_answer(data: bytes) -> RenderAnswer:
    """Parse the answer of a renderer. Raises `Unavailable` if it is none."""
    try:
        return RenderAnswer.model_validate_json(data)
    except ValidationError as error:
        raise Unavailable("The renderer of sizes gave no valid answer.") from error
