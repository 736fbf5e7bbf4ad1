"""Every page in every state that looks different: whole, accessible to axe-core, light, dark, narrow, wide, in large letters.

`MIEN_SCREENSHOTS=DIR` keeps the pictures, for a person to look at.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser.axe import serious
from browser.conftest import Open, Watch
from browser.gallery import APART, DARK, NOT_FOUND, PAPER, PLACES, Gallery, whole

NARROW = {"width": 360, "height": 740}
USUAL = {"width": 1280, "height": 900}
WIDE = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = os.environ.get("MIEN_SCREENSHOTS")
    chosen = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def visit(open_page: Open, gallery: Gallery, watch: Watch, name: str, **options: Any) -> Any:
    if name in NOT_FOUND:
        watch.expect("status of 404")
    server, path = gallery.address(name)
    return whole(open_page(path, server=server, **options), name)


def looks(page: Any, name: str, folder: Path, kind: str, *, dark: bool = False) -> None:
    """A picture of the page shows something, in the colours and the width that were asked for."""
    path = folder / f"{name}-{kind}.png"
    page.screenshot(path=path, full_page=True)
    seen = np.asarray(Image.open(path).convert("L"), np.float32)
    assert seen.shape[1] == page.viewport_size["width"]
    assert seen.std() > 5, "an empty page"
    assert (seen.mean() < 110) == ((dark and name not in PAPER) or name in DARK)


def fits(page: Any, size: dict[str, int]) -> list[str]:
    """What reaches beyond a window of this size. A plot is drawn anew some frames after its place changed."""
    page.set_viewport_size(size)
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
        size["width"],
    )
    return wide


@pytest.mark.parametrize("name", PLACES)
def test_page(open_page: Open, gallery: Gallery, watch: Watch, folder: Path, name: str) -> None:
    page = visit(open_page, gallery, watch, name)
    assert serious(page) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.title().endswith("· mien")
    if name not in APART:
        foot = page.get_by_role("contentinfo")
        assert foot.get_by_role("link", name="Responsible use").get_attribute("href") == "/responsible-use"
        assert "not what people feel" in foot.inner_text()
    looks(page, name, folder, "light")
    assert fits(page, NARROW) == []


@pytest.mark.more
@pytest.mark.parametrize("name", PLACES)
def test_dark(open_page: Open, gallery: Gallery, watch: Watch, folder: Path, name: str) -> None:
    page = visit(open_page, gallery, watch, name, scheme="dark")
    assert serious(page) == []
    looks(page, name, folder, "dark", dark=True)


@pytest.mark.more
@pytest.mark.parametrize("name", PLACES)
def test_opened_narrow_and_made_wide(open_page: Open, gallery: Gallery, watch: Watch, folder: Path, name: str) -> None:
    page = visit(open_page, gallery, watch, name, **NARROW)
    assert fits(page, NARROW) == []
    looks(page, name, folder, "narrow")
    assert fits(page, WIDE) == []
    looks(page, name, folder, "wide")
    # WCAG 1.4.4: at twice the size of letters nothing runs out of the page.
    page.add_style_tag(content="html { font-size: 200% !important }")
    assert fits(page, USUAL) == []
