"""Problems of sizes on demand."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Conflict, Forbidden, Gone, Invalid, TooManyRequests

SIZES: ProblemTypes = {
    "bad_size": ProblemType(
        Invalid,
        "`w` must be a number from 1 to 16,383 (found: '0').",
        {"field": "w", "found": "0", "minimum": 1, "maximum": 16383},
    ),
    "size_conflict": ProblemType(
        Invalid,
        "`width` and `w` are the same parameter and have different values. Send one of them.",
        {"field": "width", "other": "w"},
    ),
    "size_not_offered": ProblemType(
        Forbidden,
        "Crops without a signature must have the aspect ratio of the image or one of: 1:1 (found: 640×100). Ask for "
        "another height, sign the url, or add the ratio to DARKROOM_ON_DEMAND_RATIOS.",
        {"width": 640, "height": 100, "ratios": ["1:1"]},
    ),
    "size_not_signed": ProblemType(Forbidden, "Sizes on demand need a signature: the parameter `s`.", {"field": "s"}),
    "sizes_off": ProblemType(
        Forbidden, "Sizes on demand are off. Ask for a variant by name (`size`), or set DARKROOM_ON_DEMAND to `snap`."
    ),
    "bad_size_signature": ProblemType(
        Forbidden,
        "Invalid signature `s` of the size. Sign the text 01a21211-8a9b-7bc8-801b-cadcca2023b7/w640-q75.auto, or leave "
        "`s` out to get the nearest size that is offered.",
        {"field": "s", "text": "01a21211-8a9b-7bc8-801b-cadcca2023b7/w640-q75.auto"},
    ),
    "not_renderable": ProblemType(
        Conflict,
        "The image cannot be rendered in this size: {reason} Ask for another size, or for a variant (`size`).",
        {"reason": "Processing took longer than 30 seconds.", "cause": "timeout"},
    ),
    "renderer_busy": ProblemType(TooManyRequests, "Too many sizes wait to be rendered. Try again in a moment."),
    "image_deleted": ProblemType(Gone, "The image was deleted."),
}
