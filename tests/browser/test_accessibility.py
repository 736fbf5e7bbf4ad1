"""axe-core on every page, light and dark; nothing is cut off on a narrow screen."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from browser.conftest import Open, Watch
from browser.gallery import APART, NOT_FOUND, PLACES, Gallery, whole

RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

NARROW = 360

pytestmark = pytest.mark.timeout(900)


def visit(open_page: Open, gallery: Gallery, watch: Watch, name: str, **options: Any) -> Any:
    if name in NOT_FOUND:
        watch.expect("status of 404")
    server, path = gallery.address(name)
    return whole(open_page(path, server=server, **options), name)


def told(violations: list[dict[str, Any]]) -> list[str]:
    """One line for each element at fault."""
    return [
        f"{found['impact']} {found['id']}: {node['html'][:160]} — {' '.join(node['failureSummary'].split())[:240]}"
        for found in violations
        for node in found["nodes"]
    ]


def serious(page: Any) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return told([violation for violation in found if violation["impact"] in ("serious", "critical")])


def fits(page: Any, width: int) -> list[str]:
    """What reaches beyond the width of a page that does not fit. A plot is drawn anew some frames after its place changed."""
    wide: list[str] = page.evaluate(
        """async width => {
            const fits = () => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) <= width;
            // Ten frames in a row without overflow, or it never comes to that.
            for (let still = 0, end = performance.now() + 20_000; still < 10 && performance.now() < end; ) {
                await new Promise(requestAnimationFrame);
                still = fits() ? still + 1 : 0;
            }
            if (fits()) return [];
            const right = e => e.getBoundingClientRect().right;
            const beyond = [...document.querySelectorAll("body *")].filter(e => right(e) > width + 1 && e.checkVisibility());
            return ["too wide", ...beyond.slice(0, 5).map(e => `${e.tagName}.${e.className} to ${right(e)}`)];
        }""",
        width,
    )
    return wide


@pytest.mark.parametrize("name", PLACES)
def test_light(open_page: Open, gallery: Gallery, watch: Watch, name: str) -> None:
    page = visit(open_page, gallery, watch, name)
    assert serious(page) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.title().endswith("· mien")
    if name not in APART:
        foot = page.get_by_role("contentinfo")
        assert foot.get_by_role("link", name="Responsible use").get_attribute("href") == "/responsible-use"
        assert "not what people feel" in foot.inner_text()
    # WCAG 1.4.4: at twice the size of letters nothing runs out of the page.
    page.add_style_tag(content="html { font-size: 200% !important }")
    assert fits(page, 1280) == []


@pytest.mark.parametrize("name", PLACES)
def test_dark(open_page: Open, gallery: Gallery, watch: Watch, name: str) -> None:
    assert serious(visit(open_page, gallery, watch, name, scheme="dark")) == []


@pytest.mark.parametrize("name", PLACES)
def test_nothing_is_cut_off_at_360_pixels(open_page: Open, gallery: Gallery, watch: Watch, name: str) -> None:
    page = visit(open_page, gallery, watch, name, width=NARROW, height=740)
    assert fits(page, NARROW) == []
