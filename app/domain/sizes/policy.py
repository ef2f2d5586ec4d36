"""Policy of sizes on demand: the sizes that a request may have rendered."""

from typing import NamedTuple

from app.domain.errors import Forbidden, Invalid
from app.domain.models import Format
from app.domain.sizes.offer import OnDemand
from app.domain.sizes.operation import Operation
from app.domain.sizes.query import SizeQuery
from app.domain.sizes.signatures import SizeSignatures
from app.domain.sizes.snapping import Ladder


class SizePolicy(NamedTuple):
    """Resolves queries into the operations that may be rendered."""

    mode: OnDemand
    ladder: Ladder
    signatures: SizeSignatures

    def resolve(
        self,
        image_id: str,
        query: SizeQuery,
        form: Format,
        signature: str | None = None,
        image: tuple[int, int] | None = None,
    ) -> Operation | None:
        """Return the operation to render for a query, in this format. A query with a valid signature is exact.

        `image` are the width and height of the image. Without them, the result is None for a query that depends on
        them. Raises `Forbidden`, and `Invalid` for a format that is not offered.
        """
        if self.mode is OnDemand.OFF:
            raise Forbidden(
                "sizes_off",
                "Sizes on demand are off. Ask for a variant by name (`size`), or set DARKROOM_ON_DEMAND to `snap`.",
            )
        if form not in self.ladder.formats:
            accepted = ", ".join(self.ladder.formats)
            detail = f"`fm` must be one of {accepted} (found: {form}). DARKROOM_ON_DEMAND_JXL=true offers JPEG XL."
            raise Invalid("bad_size", detail, field="fm", found=form.value, accepted=list(self.ladder.formats))
        if signature is not None:
            if not self.signatures.verify(image_id, query.text, signature):
                detail = (
                    f"Invalid signature `s` of the size. Sign the text {image_id}/{query.text}, or leave `s` out to "
                    "get the nearest size that is offered."
                )
                raise Forbidden("bad_size_signature", detail, field="s", text=f"{image_id}/{query.text}")
            return query.exact(form)
        if self.mode is OnDemand.SIGNED:
            raise Forbidden("size_not_signed", "Sizes on demand need a signature: the parameter `s`.", field="s")
        return self.ladder.snap(query, form, image)
