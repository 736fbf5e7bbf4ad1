"""What ties a film's clock to others: its sound, its container, the wall clock, a tape's timecode, an edit list."""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fakes import FakeOptions
from media_files import HEIGHT, WIDTH, corners, film, shade
from mien.cluster import analyze_file
from mien.media import open_media
from mien.types import Timeline


@pytest.mark.parametrize(("late_s", "sound_s", "wanted"), [(0.0, 0.0, 0.0), (2.0, 0.0, 2.0), (0.0, 0.8, -0.8)])
def test_the_offset_of_the_picture_against_the_sound(tmp_path: Path, late_s: float, sound_s: float, wanted: float) -> None:
    path = film(tmp_path / "a.mkv", times=[late_s + i / 25 for i in range(50)], sound="flac", sound_start_s=sound_s)
    with open_media(path) as opened:
        assert opened.info.after_sound_s == pytest.approx(wanted, abs=0.03)
        assert opened.info.after_container_s == pytest.approx(max(0.0, wanted), abs=0.03)


def test_a_film_without_sound_has_no_offset_against_it(tmp_path: Path) -> None:
    with open_media(film(tmp_path / "a.mp4")) as opened:
        assert (opened.info.after_sound_s, opened.info.after_container_s) == (None, 0.0)


def tagged(path: Path, **tags: str) -> Path:
    with av.open(str(path), "w") as out:
        out.metadata.update(tags)
        stream: Any = out.add_stream("libx264", rate=25)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(corners(), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "says", "wanted"),
    [
        ("a.mp4", "2026-03-01T12:30:00.000000Z", "2026-03-01T12:30:00+00:00"),
        ("a.mkv", "2026-03-01T12:30:00.000000Z", "2026-03-01T12:30:00+00:00"),
        ("a.mp4", "1970-01-01T00:00:00.000000Z", None),  # a clock that was never set
        ("a.mp4", "", None),
    ],
)
def test_when_a_film_says_that_it_was_recorded(tmp_path: Path, name: str, says: str, wanted: str | None) -> None:
    with open_media(tagged(tmp_path / name, **({"creation_time": says} if says else {}))) as opened:
        assert opened.info.started_at == wanted


def test_the_timecode_of_a_tape(tmp_path: Path) -> None:
    with open_media(tagged(tmp_path / "a.mov", timecode="10:00:00:12")) as opened:
        assert opened.info.timecode == "10:00:00:12"


def test_when_a_camera_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read.av_open", lambda *_, **__: av.open("testsrc=size=64x48:rate=25", format="lavfi"))
    before = datetime.now(UTC)
    with open_media(0) as camera:
        assert camera.info.started_at is not None
        at = datetime.fromisoformat(camera.info.started_at)
    assert before - timedelta(seconds=1) <= at <= datetime.now(UTC)


def test_the_anchors_stand_in_the_summary_and_the_timeline(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times=[1 + i / 25 for i in range(10)], sound="flac")
    analyze_file(path, tmp_path / "a.mien", FakeOptions(annotated=False))
    media = json.loads((tmp_path / "a.mien" / "summary.json").read_text())["media"]
    assert media["after_sound_s"] == pytest.approx(1.0, abs=0.03)
    assert media["after_container_s"] == pytest.approx(1.0, abs=0.03)
    assert (media["started_at"], media["timecode"], media["rotated_deg"], media["notes"]) == (None, None, 0, [])
    info = Timeline.load(tmp_path / "a.mien" / "timeline.npz").info
    assert info.after_sound_s == media["after_sound_s"]
    assert info.notes == ()


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    """A film whose edit list begins ten frames in: what a player shows is fifteen frames from there on."""
    path = film(tmp_path / "a.mp4", codec_options={"preset": "ultrafast", "crf": "18", "bf": "0"})
    path.write_bytes(with_edit(path.read_bytes(), start_s=0.4, length_s=0.6))
    with open_media(path) as opened:
        frames = list(opened.frames())
        assert opened.info.frames == len(frames) == 15
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(15)], abs=1e-3)
    assert [float(f.rgb.mean()) for f in frames] == pytest.approx([shade(i) for i in range(10, 25)], abs=4)


def with_edit(data: bytes, *, start_s: float, length_s: float) -> bytes:
    """ISO 14496-12, 8.6.6: the one edit of a film begins later and is shorter."""
    out = bytearray(data)
    scale_at = out.index(b"mdhd") + 4 + 12
    media_scale = int.from_bytes(out[scale_at : scale_at + 4], "big")
    movie_at = out.index(b"mvhd") + 4 + 12
    movie_scale = int.from_bytes(out[movie_at : movie_at + 4], "big")
    edit = out.index(b"elst") + 4 + 8
    out[edit : edit + 8] = round(length_s * movie_scale).to_bytes(4, "big") + round(start_s * media_scale).to_bytes(4, "big")
    return bytes(out)


def test_the_clock_begins_with_the_first_picture_that_is_shown(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", form="mpegts", times=[5 + i / 25 for i in range(10)])
    with open_media(path) as opened:
        assert [f.time_s for f in opened.frames()] == pytest.approx(np.arange(10) / 25, abs=1e-3)
