"""axe-core, the checker of accessibility: finds faults in an open page."""

from typing import Any

from tests.repository.tree import ROOT

#: Installed by `make test-browser` from `tests/browser/package-lock.json`.
_AXE = ROOT / ".cache" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async (part) => {
  const transient = document.getAnimations().filter((each) => each.effect.getTiming().iterations === 1)
  await Promise.allSettled(transient.map((each) => each.finished))
  const { violations } = await axe.run(part ?? document, { resultTypes: ["violations"] })
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).slice(0, 3).join(" ")}`)
}"""


def complaints(page: Any, part: str | None = None) -> list[str]:
    """Run axe-core with all its rules, on the page or on the part that a selector names."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_AXE.read_text())
    found: list[str] = page.evaluate(_RUN, part)
    return found
