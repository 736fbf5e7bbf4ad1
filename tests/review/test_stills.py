import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.media import VideoWriter
from mien.study_report import stills


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 s, whose grey is 4 × the second."""
    path = tmp_path_factory.mktemp("film") / "grey.mp4"
    with VideoWriter(path, 320, 180, fps_hint=5) as writer:
        for k in range(300):
            writer.write(np.full((180, 320, 3), 4 * (k // 5), np.uint8), k / 5)
    return path


def grey(uri: str) -> tuple[float, tuple[int, ...]]:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
    return float(picture.mean()), picture.shape


@pytest.mark.parametrize("at", [0.0, 7.5, 31.0, 58.9, 400.0])
def test_a_still_is_the_picture_of_its_time(film: Path, at: float) -> None:
    found = stills.still(film, at)
    assert found is not None
    shade, shape = grey(found)
    assert shade == pytest.approx(4 * min(int(at), 59), abs=3)
    assert shape == (180, 320)


def test_a_strip_goes_through_the_film(film: Path) -> None:
    strip = stills.strip(film, 60.0)
    assert len(strip) == 40
    times = [one["time_s"] for one in strip]
    assert times == sorted(times)
    for one in strip:
        shade, shape = grey(one["image"])
        assert shade == pytest.approx(4 * int(one["time_s"]), abs=3)
        assert shape == (90, 160)


def test_a_strip_of_a_long_film_takes_key_frames(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stills, "EXACT_UNDER_S", 0.0)
    strip = stills.strip(film, 60.0)
    assert 1 <= len(strip) < 40
    for one in strip:
        assert grey(one["image"])[0] == pytest.approx(4 * int(one["time_s"]), abs=3)


def test_without_a_film_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no film")
    for film in (None, tmp_path / "no.mp4", tmp_path / "gone.mp4"):
        assert stills.strip(film, 60.0) == []
        assert stills.still(film, 3.0) is None
