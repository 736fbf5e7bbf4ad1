"""A frame lasts until the next one: a film that holds frames gives what a film gives that stores them again and again."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from media_files import HEIGHT, WIDTH, film, shade
from mien.episodes import find_episodes
from mien.media import Media, open_media
from mien.types import Frame

HELD = [*(i / 25 for i in range(26)), *(7 + i / 25 for i in range(25))]
STORED = [i / 25 for i in range(200)]


def stored_as(i: int) -> int:
    """Which frame of `HELD` is shown at `STORED[i]`."""
    return max(k for k, time_s in enumerate(HELD) if time_s <= STORED[i] + 1e-6)


def pictures(of: Callable[[int], int]) -> Callable[[int], np.ndarray]:
    return lambda i: np.full((HEIGHT, WIDTH, 3), shade(of(i)), np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("held")
    held = film(folder / "held.mp4", times=HELD, pictures=pictures(lambda i: i), ticks=90_000)
    return held, film(folder / "stored.mp4", times=STORED, pictures=pictures(stored_as), ticks=90_000)


def samples(frames: Iterator[Frame]) -> list[tuple[float, int]]:
    return [(round(f.time_s, 3), round(float(f.rgb.mean()))) for f in frames]


@pytest.mark.parametrize("every", [0.2, 0.5, 0.7, 1.0, 3.0])
def test_a_held_frame_has_the_samples_of_a_stored_one(films: tuple[Path, Path], every: float) -> None:
    with open_media(films[0]) as held, open_media(films[1]) as stored:
        one, other = samples(held.frames(every)), samples(stored.frames(every))
    assert [time_s for time_s, _ in one] == pytest.approx([time_s for time_s, _ in other], abs=0.04)
    assert [grey for _, grey in one] == pytest.approx([grey for _, grey in other], abs=40 if every == 0.7 else 4)
    if every == 0.5:
        assert sum(1.0 < time_s <= 7.0 for time_s, _ in one) == 12


def test_without_an_interval_a_held_frame_is_shown_as_often_as_the_others(films: tuple[Path, Path]) -> None:
    with open_media(films[0]) as held, open_media(films[1]) as stored:
        one, other = samples(held.shown()), samples(stored.shown())
        assert len(list(held.frames())) == len(HELD)  # frames() gives what is stored
    assert len(one) == len(other) == 200
    assert np.abs(np.array(one) - np.array(other)).max() <= 4


def test_held_frames_are_converted_once(films: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.media.film import Film

    asked = []
    rgb = Film.rgb
    monkeypatch.setattr(Film, "rgb", lambda self, frame: asked.append(frame.pts) or rgb(self, frame))
    with open_media(films[0]) as held:
        frames = list(held.shown(0.5))
    assert len(frames) == 16
    assert len(asked) == len(set(asked)) == len({f.index for f in frames})


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_last_frame_lasts_until_the_end(tmp_path: Path, name: str) -> None:
    path = moving(tmp_path / name, [10, 200, 90], [500, 100, 3000])
    with open_media(path) as opened:
        assert opened.info.kind == "video"
        found = samples(opened.frames(0.5))
        assert found == [(0, 10), (0.5, 200), (1.0, 90), (1.5, 90), (2.0, 90), (2.5, 90), (3.0, 90)]
        assert samples(opened.frames()) == [(0, 10), (0.5, 200), (0.6, 90)]


@pytest.mark.parametrize("seconds", [2, 6])
def test_a_slideshow(tmp_path: Path, seconds: int) -> None:
    path = film(tmp_path / "a.mp4", times=[seconds * i for i in range(4)], ticks=90_000)
    with open_media(path) as opened:
        times = [f.time_s for f in opened.frames(0.5)]
    assert np.diff(times) == pytest.approx(0.5)
    assert times[-1] >= 3 * seconds


def moving(path: Path, greys: Sequence[int], ms: Sequence[int]) -> Path:
    images = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), g, np.uint8)) for g in greys]
    extra = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=list(ms), loop=0, **extra)
    return path


# --- what is made of them


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, hopper: Path) -> tuple[mien.Timeline, mien.Timeline]:
    """The same portrait held for six seconds, and stored."""
    folder = tmp_path_factory.mktemp("portrait")
    rgb = np.asarray(Image.open(hopper).convert("RGB").resize((128, 160)))
    analyzer = mien.Analyzer()
    held, stored = (
        film(folder / f"{n}.mp4", times=times, pictures=lambda i: rgb, size=(128, 160), ticks=90_000)
        for n, times in enumerate((HELD[:30], STORED[:179]))
    )
    return analyzer.video(held), analyzer.video(stored)


def test_a_held_face_is_one_track(analysed: tuple[mien.Timeline, mien.Timeline]) -> None:
    for timeline in analysed:
        assert timeline.track_ids == [1]
    held, stored = analysed
    assert len(held) == len(stored) == 179
    assert np.abs(held.times - stored.times).max() < 2e-3


def test_shares_and_episodes_of_a_held_face(analysed: tuple[mien.Timeline, mien.Timeline]) -> None:
    held, stored = analysed
    assert held.shares() == pytest.approx(stored.shares(), abs=0.03)
    one, other = find_episodes(held), find_episodes(stored)
    assert [e.expression for e in one] == [e.expression for e in other]
    for e, f in zip(one, other, strict=True):
        assert (e.start_s, e.end_s) == pytest.approx((f.start_s, f.end_s), abs=0.05)


def test_the_network_sees_a_held_frame_once(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=HELD, ticks=90_000)
    seen = []

    class Nobody:
        def __init__(self) -> None:
            self.facts = {"name": "nobody"}

        def __call__(self, rgb: np.ndarray) -> mien.Faces:
            seen.append(1)
            return mien.Faces.none()

    analyzer = mien.Analyzer(detector=Nobody())  # type: ignore[arg-type]
    with open_media(path) as opened:
        results = list(analyzer.stream(opened))
    assert (len(results), len(seen)) == (200, len(HELD))
    assert all(b.time_s > a.time_s for a, b in itertools.pairwise(results))


def test_a_camera_is_never_held(films: tuple[Path, Path]) -> None:
    with open_media(films[0], kind="camera") as opened:
        assert isinstance(opened, Media)
        assert len(list(opened.shown(0.5))) < 10
