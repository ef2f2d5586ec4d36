"""Share of the machine that one delivery of an event gets, and what it has used of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.jobs import Job, Processed
from app.worker.memory_budget import MemoryBudget
from app.worker.sandbox.parent import HEADER_MB, Sandbox, empty


@dataclass(eq=False, repr=False)
class Share:
    """`threads` run at the same time (None: as many as there are processors), within `memory` if several images share
    it. `timed_out` is True if processing the image has used up its time.

    `on_wait` is called before the delivery waits for memory, `on_start` when it has it. The wait ends with `NotStarted`
    once `give_up()` is true.
    """

    threads: int | None = None
    memory: MemoryBudget | None = None
    on_wait: Callable[[], None] = lambda: None
    on_start: Callable[[], None] = lambda: None
    give_up: Callable[[], bool] = lambda: False
    timed_out: bool = field(default=False, init=False)

    def process(
        self, sandbox: Sandbox, source: Path, out: Path, job: Job, *, guessed_mb: int | None = None
    ) -> Processed:
        """Process an image in the sandbox, like `Sandbox.process`, when there is enough memory.

        A small process first estimates from the header how much the image needs, and that becomes its bound, unless
        the caller has guessed a bound, which saves the time of that process. An image that needs more than its bound is
        processed again with the whole bound.
        """
        memory = self.memory
        if memory is None:
            return sandbox.process(source, out, job)
        too_little = {FailureCode.MEMORY}
        if guessed_mb is None:
            bound = self._wait_for_memory(memory, sandbox, source, out, job)
        else:
            bound = min(guessed_mb, sandbox.memory_mb)
            too_little.add(FailureCode.TOO_MANY_PIXELS)  # by the header, for that bound
            self._take(memory, bound)
        with memory.held(bound):
            try:
                return sandbox.process(source, out, job, memory_mb=bound)
            except ImageError as error:
                if error.code not in too_little or bound >= sandbox.memory_mb:
                    raise
        empty(out)
        with memory.first_in_line(lambda: False):
            memory.take(sandbox.memory_mb, lambda: False)
        with memory.held(sandbox.memory_mb):
            return sandbox.process(source, out, job)

    def _take(self, memory: MemoryBudget, mb: int) -> None:
        """Wait in line, and take this much memory."""
        self.on_wait()
        with memory.first_in_line(self.give_up):
            memory.take(mb, self.give_up)
        self.on_start()

    def _wait_for_memory(self, memory: MemoryBudget, sandbox: Sandbox, source: Path, out: Path, job: Job) -> int:
        """Wait in line, take as much memory as the image needs, and return it."""
        self.on_wait()
        with memory.first_in_line(self.give_up):
            memory.take(HEADER_MB, self.give_up)
            with memory.held(HEADER_MB):
                bound = sandbox.estimate(source, out, job)
            empty(out)
            memory.take(bound, self.give_up)
        self.on_start()
        return bound
