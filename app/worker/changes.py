"""Changes of a record after its original was read or its variants were stored."""

from app.domain.media import UNKNOWN_TYPE
from app.domain.models import Changes, Image, Rights, Status, Variant, utcnow
from app.domain.recipe import Recipe, build_recipe_id, build_rendering_id
from app.domain.work import Task
from app.worker.jobs import Processed
from app.worker.originals import Original


def original_changes(original: Original) -> Changes:
    """Return the fields that the bytes of the original determine."""
    kind = original.media_type or UNKNOWN_TYPE
    return {"bytes": original.bytes, "sha256": original.sha256, "content_type": kind}


def ready_changes(image: Image, processed: Processed, original: Original, recipe: Recipe) -> Changes:
    """Return the changes that make a record `ready`, with variants at the place of its visibility."""
    names = set(Processed.model_fields) - {"rights", "variants", "timings", "memory_mb"}
    # One variant can stand for two formats of the recipe.
    listed = {(variant.name, variant.format): variant for variant in processed.variants}
    return {
        **{name: getattr(processed, name) for name in names},
        **original_changes(original),
        "status": Status.READY,
        "error": None,
        "reprocess_error": None,
        "work": {Task.PROCESS: None},
        "upload_expires_at": None,
        "processed_at": utcnow(),
        "rendering_id": build_rendering_id(recipe, image.focal_point),
        "recipe_id": build_recipe_id(recipe),
        "rights": Rights.model_validate(processed.rights.model_dump()),
        "variants": [Variant.model_validate(variant.model_dump()) for variant in listed.values()],
        "placed": image.effective_visibility,
    }
