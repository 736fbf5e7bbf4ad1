"""A picture of each page, light, dark and narrow, for a person to look at: `MIEN_SCREENSHOTS=DIR` keeps them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser.conftest import Open, Watch
from browser.gallery import NOT_FOUND, PAPER, PLACES, Gallery, whole

LOOKS = {
    "light": {"scheme": "light", "width": 1280},
    "dark": {"scheme": "dark", "width": 1280},
    "narrow": {"scheme": "light", "width": 360, "height": 740},
    "wide": {"scheme": "light", "width": 1920, "height": 1080},
}


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = os.environ.get("MIEN_SCREENSHOTS")
    chosen = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PLACES)
def test_page(open_page: Open, gallery: Gallery, watch: Watch, folder: Path, name: str, look: str) -> None:
    if name in NOT_FOUND:
        watch.expect("status of 404")
    server, path = gallery.address(name)
    page = whole(open_page(path, server=server, **LOOKS[look]), name)
    picture = folder / f"{name}-{look}.png"
    page.screenshot(path=picture, full_page=True)
    seen = np.asarray(Image.open(picture).convert("L"), np.float32)
    assert seen.shape[1] == LOOKS[look]["width"]
    assert seen.std() > 5, "an empty page"
    assert (seen.mean() < 110) == (look == "dark" and name not in PAPER)
