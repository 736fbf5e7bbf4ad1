"""axe-core: what a page makes hard for people who do not see it, or cannot use a mouse."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def serious(page: Any) -> list[str]:
    """What axe calls serious or critical: one line for each element at fault."""
    return [
        f"{found['impact']} {found['id']}: {node['html'][:160]} — {' '.join(node['failureSummary'].split())[:240]}"
        for found in Axe().run(page, options=RULES).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
