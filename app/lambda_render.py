"""Lambda entry point of sizes on demand: misses of the CDN, and calls of the API."""

# ruff: noqa: E402 - objects made at the start stay; garbage collection would take 5 % of its time
import gc

gc.disable()

import json
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from app import linux, logs
from app.bootstrap import open_backends
from app.bootstrap_worker import build_size_renderer
from app.domain.errors import PortError, Unavailable
from app.domain.ports.render_messages import RenderAnswer, RenderRequest
from app.domain.sizes.offer import OnDemand
from app.domain.sizes.snapping import Ladder
from app.settings import Settings, load_on_lambda
from app.worker.on_demand.misses import Misses

log = logging.getLogger(__name__)


def _load() -> Settings:
    linux.hide()
    settings = load_on_lambda()
    logs.configure(settings.log_level, settings.service)
    return settings


def _ladder(settings: Settings) -> Ladder | None:
    offered = settings.on_demand_mode is OnDemand.SNAP
    return Ladder(settings.on_demand_widths, settings.on_demand_ratios, settings.on_demand_jxl) if offered else None


_settings = _load()
_scratch = Path(tempfile.gettempdir(), "darkroom")
_backends = open_backends(_settings)
_renderer = build_size_renderer(_settings, _backends, _scratch)
_misses = Misses(_backends.store, _backends.images, _renderer, _ladder(_settings))
_invocations = logs.Invocations()
gc.freeze()
gc.enable()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Render one size. The event is a request to the function's url, or a `RenderRequest` of the API."""
    _invocations.begin(context)
    shutil.rmtree(_scratch, ignore_errors=True)  # an invocation that timed out may have left files
    _scratch.mkdir(mode=0o700, exist_ok=True)
    started = time.perf_counter()
    if isinstance(event, dict) and "http" in event.get("requestContext", {}):
        answer = _misses.answer(event)
        outcome = answer["statusCode"]
    else:
        rendered = _render(event)
        answer = rendered.model_dump(mode="json", exclude_defaults=True)
        outcome = rendered.error or "rendered"
    log.info("size on demand", extra={"outcome": outcome, "ms": round((time.perf_counter() - started) * 1000, 1)})
    return answer


def _render(event: Any) -> RenderAnswer:
    """Answer a call of the API, which has checked that the caller may ask for the size."""
    try:
        return RenderAnswer.of(_renderer.render(*RenderRequest.parse(json.dumps(event).encode())))
    except PortError as error:
        return RenderAnswer.of_error(error)
    except ValueError:
        log.warning("the event is neither a request to the url nor one for a size")
        return RenderAnswer.of_error(Unavailable(""))
