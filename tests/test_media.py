"""Pictures, films and cameras in, films and pictures out: right times, the right way up, one clear line for each bad input."""

import errno
import functools
import http.server
import itertools
import math
import os
import re
import resource
import shutil
import socket
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from media_files import (
    HEIGHT,
    WIDTH,
    click_at,
    corner_names,
    corners,
    encoded,
    film,
    gif,
    jpeg_with_orientation,
    png_header,
    shade,
    sound_only,
)
from mien.errors import MediaError
from mien.media import MAX_PICTURE_PIXELS, Media, VideoWriter, decode_picture, open_media, read_picture, stills_at, write_picture
from mien.media.film import Clock, Film
from mien.types import Frame

SHARED = Path(__file__).parents[2] / "shared" / "media"
VP8 = {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}}
UNEVEN = [0, 0.04, 0.08, 0.5, 0.52, 1.0, 1.7]


def noise(index: int) -> np.ndarray:
    """Does not compress, so that a cut through the file is a cut through the film."""
    return np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def frames_until_error(opened: Media) -> tuple[list[Frame], str]:
    """The frames of a damaged film and the message that ends them."""
    frames = []
    try:
        for frame in opened.frames():
            frames.append(frame)
    except MediaError as error:
        return frames, str(error)
    pytest.fail("the film ended without an error")


def times_of(path: Path, every: float | None = None) -> list[float]:
    with open_media(path) as opened:
        return [frame.time_s for frame in opened.frames(every)]


# --- films: time and content ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("a.mp4", {}, "h264"),
        ("a.mov", {}, "h264"),
        ("a.mkv", {}, "h264"),
        ("a.webm", VP8, "vp8"),
        ("a.avi", {"codec": "mpeg4"}, "mpeg4"),
        ("b_frames.avi", {"codec": "mpeg4", "codec_options": {"bf": "2", "qmax": "3"}}, "mpeg4"),
        ("a.ts", {"form": "mpegts"}, "h264"),
        ("fragments.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}, "h264"),
        ("wrong_name.txt", {"form": "mp4"}, "h264"),
    ],
)
def test_each_container_gives_every_frame_at_its_time(tmp_path: Path, name: str, options: dict[str, Any], codec: str) -> None:
    path = film(tmp_path / name, **options)
    with open_media(path) as opened:
        assert (opened.info.kind, opened.info.width, opened.info.height) == ("video", WIDTH, HEIGHT)
        assert (opened.info.name, opened.info.codec, opened.info.has_audio) == (name, codec, False)
        assert opened.info.fps == pytest.approx(25)
        assert opened.info.duration_s == pytest.approx(1.0, abs=0.01)
        frames = list(opened.frames())
    assert [f.index for f in frames] == list(range(25))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(25)], abs=1e-3)
    assert [float(f.rgb.mean()) for f in frames] == pytest.approx([shade(i) for i in range(25)], abs=4)
    assert all(f.rgb.shape == (HEIGHT, WIDTH, 3) and f.rgb.flags.c_contiguous for f in frames)


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_variable_rate_keeps_each_frames_own_time(tmp_path: Path, name: str) -> None:
    assert times_of(film(tmp_path / name, times=UNEVEN, ticks=90_000)) == pytest.approx(UNEVEN, abs=1e-3)


@pytest.mark.parametrize(("name", "options"), [("late.mp4", {"sound": "aac"}), ("late.mkv", {"sound": "aac"}), ("late.ts", {})])
def test_a_late_stream_begins_at_zero(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = film(tmp_path / name, times=[2 + i / 25 for i in range(10)], **options)
    with open_media(path) as opened:
        assert opened.info.duration_s == pytest.approx(0.4, abs=0.02)
        assert [f.time_s for f in opened.frames()] == pytest.approx([i / 25 for i in range(10)], abs=1e-3)


@pytest.mark.parametrize(("name", "late_s"), [("a.mp4", 0.0), ("a.mkv", 0.0), ("late.mp4", 2.0)])
def test_stills_are_what_the_film_shows_at_their_times(tmp_path: Path, name: str, late_s: float) -> None:
    path = film(tmp_path / name, times=[late_s + i / 25 for i in range(25)])
    wanted = [0.0, 0.05, 0.4, 0.41, 0.9, 5.0]
    found = list(stills_at(path, wanted))
    assert [f.index for f in found] == list(range(6))
    assert [f.time_s for f in found] == pytest.approx([0.0, 0.04, 0.4, 0.4, 0.88, 0.96], abs=2e-3)
    assert [float(f.rgb.mean()) for f in found] == pytest.approx([shade(round(f.time_s * 25)) for f in found], abs=4)
    keys = list(stills_at(path, [0.5, 0.9], exact=False))
    assert all(f.time_s <= at for f, at in zip(keys, (0.5, 0.9), strict=True))


def test_gif_is_a_film_with_its_own_delays(tmp_path: Path) -> None:
    with open_media(gif(tmp_path / "a.gif", [10, 100, 200], delay_ms=120)) as opened:
        assert (opened.info.kind, opened.info.codec) == ("video", "gif")
        frames = list(opened.frames())
    assert [f.time_s for f in frames] == pytest.approx([0, 0.12, 0.24])
    assert [int(f.rgb[5, 5, 0]) for f in frames] == [10, 100, 200]


def test_moving_png_with_alpha_lies_on_white(tmp_path: Path) -> None:
    images = [Image.new("RGBA", (20, 10), (255, 0, 0, alpha)) for alpha in (0, 128)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=100)
    with open_media(tmp_path / "a.png") as opened:
        frames = list(opened.frames())
    assert [f.rgb[5, 5].tolist() for f in frames] == [[255, 255, 255], [255, 127, 127]]


@pytest.mark.parametrize("space", [1, 5])
def test_colours_follow_the_matrix_that_the_film_names(tmp_path: Path, space: int) -> None:
    colour = (40, 180, 90)
    path = film(
        tmp_path / "a.mp4",
        pictures=lambda _: np.full((HEIGHT, WIDTH, 3), colour, np.uint8),
        colorspace=space,
        times=[0, 0.04],
    )
    with open_media(path) as opened:
        rgb = next(opened.frames()).rgb
    assert rgb.reshape(-1, 3).mean(axis=0) == pytest.approx(colour, abs=3)


@pytest.mark.parametrize("every", [0.04, 0.1, 0.3, 0.33, 0.7, 5.0])
def test_every_takes_the_first_frame_at_or_after_each_multiple(tmp_path: Path, every: float) -> None:
    path = film(tmp_path / "a.mp4", times=[i / 25 for i in range(60)])
    wanted = sorted({math.ceil(round(k * every * 25, 6)) for k in range(200) if math.ceil(round(k * every * 25, 6)) < 60})
    with open_media(path) as opened:
        frames = list(opened.frames(every))
    assert [f.index for f in frames] == wanted
    assert [float(f.rgb.mean()) for f in frames] == pytest.approx([shade(i) for i in wanted], abs=4)


def test_every_on_uneven_times_gives_a_held_frame_again(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=UNEVEN, ticks=90_000)
    assert times_of(path, 0.25) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
    assert times_of(path, 0) == pytest.approx(UNEVEN)


@pytest.mark.parametrize("every", [-1, math.nan, math.inf])
def test_every_must_be_a_length_of_time(tmp_path: Path, every: float) -> None:
    with open_media(film(tmp_path / "a.mp4", times=[0, 0.04])) as opened, pytest.raises(ValueError, match="every must be"):
        opened.frames(every)


def test_only_sampled_frames_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    original = Film.rgb
    monkeypatch.setattr(Film, "rgb", lambda self, frame: converted.append(frame.pts) or original(self, frame))
    assert len(times_of(film(tmp_path / "a.mp4"), 0.5)) == 2
    assert len(converted) == 2


@pytest.mark.parametrize(
    ("stamps", "wanted"),
    [
        ([0, 40, 80], [0, 0.04, 0.08]),
        ([500, 540, 580], [0, 0.04, 0.08]),
        ([None, None, None], [0, 0.04, 0.08]),
        ([0, None, 80], [0, 0.04, 0.08]),
        ([None, 40, 80], [0, 0.04, 0.08]),
        ([0, 40, 40, 80], [0, 0.04, 0.041, 0.08]),  # a duplicate moves by one tick
        ([0, 80, 40, 120], [0, 0.08, 0.081, 0.12]),  # so does a small step back
        ([0, 40, 40, 40, 80], [0, 0.04, 0.041, 0.042, 0.08]),
        ([5000, 5040, 0, 40], [0, 0.04, 0.08, 0.12]),  # a clock that was set anew goes on
        ([0, 40, 10_000], [0, 0.04, 10]),  # a gap is a gap
    ],
)
def test_clock(stamps: list[int | None], wanted: list[float]) -> None:
    clock = Clock(Fraction(1, 1000), 25.0)
    assert [clock(pts) for pts in stamps] == pytest.approx(wanted)


def test_clock_with_a_tick_as_long_as_a_frame_stays_in_order() -> None:
    clock = Clock(Fraction(1, 25), 25.0)
    assert [clock(pts) for pts in (0, 1, 1, 2)] == pytest.approx([0, 0.04, 0.06, 0.08])


def test_a_film_can_be_gone_through_again_and_twice_at_once(tmp_path: Path) -> None:
    with open_media(film(tmp_path / "a.mp4")) as opened:
        assert len(list(opened.frames())) == 25
        one, two = opened.frames(), opened.frames(0.2)
        pairs = [(next(one).index, next(two).index) for _ in range(5)]
        assert pairs == [(0, 0), (1, 5), (2, 10), (3, 15), (4, 20)]


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")

    def handles() -> int:
        return sum(os.path.realpath(f"/proc/self/fd/{n}") == str(path.resolve()) for n in os.listdir("/proc/self/fd"))

    opened = open_media(path)
    frames = opened.frames()
    next(frames)
    assert handles() == 1
    frames.close()
    assert handles() == 0
    next(again := opened.frames())
    assert handles() == 1
    opened.close()
    opened.close()
    assert handles() == 0
    with pytest.raises(ValueError, match=r"a\.mp4: is closed"):
        next(again)
    with pytest.raises(ValueError, match=r"a\.mp4: is closed"):
        next(opened.frames())


def test_closing_while_another_thread_decodes(tmp_path: Path) -> None:
    opened = open_media(film(tmp_path / "a.mp4", times=[i / 25 for i in range(200)], pictures=noise))
    begun, ended = threading.Event(), []

    def read() -> None:
        try:
            for _ in opened.frames():
                begun.set()
        except ValueError as error:
            ended.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(60)
    opened.close()
    thread.join(60)
    assert not thread.is_alive()
    assert ended == [] or "is closed" in ended[0]


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=[i / 25 for i in range(300)])
    tracemalloc.start()
    try:
        with open_media(path) as opened:
            for frame in opened.frames():
                if frame.index == 20:
                    early = tracemalloc.get_traced_memory()[0]
            late = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert late - early < 20 * WIDTH * HEIGHT * 3


def test_a_film_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{n}.ts", form="mpegts", size=size).read_bytes() for n, size in enumerate([(64, 48), (128, 96)])]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    with open_media(tmp_path / "a.ts") as opened:
        frames = list(opened.frames())
    assert len(frames) > 30
    assert {f.rgb.shape for f in frames} == {(48, 64, 3)}
    assert all(b.time_s > a.time_s for a, b in itertools.pairwise(frames))


# --- films: the right way up ---------------------------------------------------------------------------------------------------

TURNED = {0: "RGBW", 90: "GWRB", 180: "WBGR", 270: "BRWG"}  # counter-clockwise


@pytest.mark.parametrize("degrees", list(TURNED))
def test_rotation_is_honoured(tmp_path: Path, degrees: int) -> None:
    import cv2

    path = film(tmp_path / "a.mp4", pictures=lambda _: corners(), rotation=degrees, times=[0, 0.04, 0.08])
    with open_media(path) as opened:
        frame = next(opened.frames())
        assert frame.rgb.shape == (opened.info.height, opened.info.width, 3)
    assert corner_names(frame.rgb) == TURNED[degrees]
    assert frame.rgb.flags.c_contiguous
    capture = cv2.VideoCapture(str(path))  # another reader's opinion
    theirs = capture.read()[1][..., ::-1]
    capture.release()
    assert corner_names(theirs) == TURNED[degrees]


def test_rotation_as_a_phone_writes_it(tmp_path: Path) -> None:
    """ISO 14496-12, 8.3.2: matrix {a b u c d v x y w}; held upright, a phone writes a quarter turn clockwise."""
    path = film(tmp_path / "a.mp4", pictures=lambda _: corners(), times=[0, 0.04, 0.08])
    data = bytearray(path.read_bytes())
    scales = [1 << 16, 1 << 16, 1 << 30] * 3
    upright, turn = (
        b"".join(int(n * scale).to_bytes(4, "big", signed=True) for n, scale in zip(m, scales, strict=True))
        for m in ([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 1, 0, -1, 0, 0, HEIGHT, 0, 1])
    )
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + 36] = turn
    path.write_bytes(data)
    with open_media(path) as opened:
        assert (opened.info.width, opened.info.height) == (HEIGHT, WIDTH)
        assert corner_names(next(opened.frames()).rgb) == "BRWG"


def test_mirrored_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", pictures=lambda _: corners(), rotation=0, flip=True, times=[0, 0.04])
    with open_media(path) as opened:
        assert corner_names(next(opened.frames()).rgb) == "GRWB"


# --- pictures ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_picture_formats(tmp_path: Path, form: str) -> None:
    path = tmp_path / "wrong_name.mp4"
    path.write_bytes(encoded(Image.fromarray(corners()), form))
    with open_media(path) as opened:
        info = opened.info
        assert (info.kind, info.width, info.height, info.frames, info.duration_s) == ("picture", WIDTH, HEIGHT, 1, None)
        frames = list(opened.frames(every=0.5))
    assert [(f.index, f.time_s, corner_names(f.rgb)) for f in frames] == [(0, 0.0, "RGBW")]
    assert corner_names(read_picture(str(path)).rgb) == "RGBW"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "seen"),
    [(1, "RGBW"), (2, "GRWB"), (3, "WBGR"), (4, "BWRG"), (5, "RBGW"), (6, "BRWG"), (7, "WGBR"), (8, "GWRB"), (9, "RGBW")],
)
def test_exif_orientation(tmp_path: Path, form: str, orientation: int, seen: str) -> None:
    path = jpeg_with_orientation(tmp_path / "a.jpg", orientation, corners(), form)
    with open_media(path) as opened:
        rgb = next(opened.frames()).rgb
        assert rgb.shape == (opened.info.height, opened.info.width, 3)
    assert corner_names(rgb) == seen
    assert rgb.flags.c_contiguous


GREYS = np.linspace(0, 65535, 20 * 30).astype(np.uint16).reshape(20, 30)


@pytest.mark.parametrize(
    ("image", "form", "wanted"),
    [
        (Image.fromarray(GREYS), "PNG", GREYS >> 8),
        (Image.fromarray(GREYS), "TIFF", GREYS >> 8),
        (Image.fromarray(GREYS.astype(np.int32)), "TIFF", np.rint(GREYS / 257)),
        (Image.fromarray((GREYS / 65535).astype(np.float32)), "TIFF", np.rint(GREYS / 257)),
        (Image.fromarray((GREYS >> 8).astype(np.uint8)), "PNG", GREYS >> 8),
        (Image.fromarray((GREYS >> 8).astype(np.uint8)), "PPM", GREYS >> 8),
        (Image.fromarray(GREYS), "PPM", GREYS >> 8),
        (Image.fromarray(GREYS >> 8), "PPM", np.zeros((20, 30))),
        (Image.fromarray((GREYS >> 15).astype(bool)), "PNG", (GREYS >> 15) * 255),
        (Image.new("P", (30, 20), 0), "PNG", np.zeros((20, 30))),
    ],
    ids=["16 bit PNG", "16 bit TIFF", "32 bit", "float", "grey", "PGM", "16 bit PGM", "dark 16 bit PGM", "one bit", "palette"],
)
def test_depths_and_palettes(tmp_path: Path, image: Image.Image, form: str, wanted: np.ndarray) -> None:
    (tmp_path / "a").write_bytes(encoded(image, form))
    rgb = read_picture(tmp_path / "a").rgb
    assert rgb.shape == (20, 30, 3)
    np.testing.assert_allclose(rgb, np.repeat(wanted[..., None], 3, 2), atol=1)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(corners()).convert("CMYK"), "JPEG", quality=95))
    assert corner_names(read_picture(tmp_path / "a.jpg").rgb) == "RGBW"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("LA", (8, 8), (0, 64)), (191, 191, 191)),
        (Image.new("RGBA", (8, 8), (10, 20, 30, 255)), (10, 20, 30)),
    ],
)
def test_alpha_lies_on_white(tmp_path: Path, image: Image.Image, wanted: tuple[int, int, int]) -> None:
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG"))
    assert tuple(read_picture(tmp_path / "a.png").rgb[4, 4].tolist()) == wanted


def test_palette_with_a_transparent_colour_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG", transparency=1))
    assert read_picture(tmp_path / "a.png").rgb[4, 4].tolist() == [255, 255, 255]


def test_a_gif_of_one_frame_is_a_picture_and_of_two_is_not(tmp_path: Path) -> None:
    assert read_picture(gif(tmp_path / "one.gif", [77])).rgb[5, 5].tolist() == [77, 77, 77]
    with pytest.raises(MediaError, match=r"two\.gif: is no still picture, but wanted one; give a JPEG"):
        read_picture(gif(tmp_path / "two.gif", [77, 99]))


@pytest.mark.parametrize(
    "builder", [png_header, lambda w, h: b"BM" + encoded(Image.new("1", (8, 8)), "BMP")[2:]], ids=["PNG", "BMP"]
)
def test_a_picture_that_declares_too_much_is_not_decoded(tmp_path: Path, builder: Any) -> None:
    data = bytearray(builder(60_000, 60_000))
    if data.startswith(b"BM"):
        data[18:26] = (60_000).to_bytes(4, "little") * 2
    (tmp_path / "a.png").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(MediaError, match="is 60000 × 60000 pixels, but at most 100 megapixels are read; make it smaller"):
            open_media(tmp_path / "a.png")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_picture_between_pillows_limit_and_ours_gives_no_warning(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(9_800, 9_800))
    assert MAX_PICTURE_PIXELS > 9_800**2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MediaError, match="cannot be decoded"):  # it holds but a few bytes
            open_media(tmp_path / "a.png")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.7])
def test_a_cut_picture_is_an_error_or_whole_never_another_exception(tmp_path: Path, form: str, share: float) -> None:
    data = encoded(Image.fromarray(noise(0)), form)
    (tmp_path / "a.jpg").write_bytes(data[: max(20, int(len(data) * share))])
    with pytest.raises(MediaError, match=r"^a\.jpg: cannot be (read as a picture|decoded): [^\n]+; export it again$"):
        read_picture(tmp_path / "a.jpg")


# --- bad input -----------------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> None:
    path.mkdir()


def _cut_before_the_index(path: Path) -> None:
    film(path, form="mp4", pictures=noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, r"talk\.mp4: cannot be read: there is no such file; check the path"),
        (_folder, r"talk\.mp4: is a folder, but wanted a picture or film; give a file in it"),
        (lambda p: p.write_bytes(b""), r"^talk\.mp4: is empty \(0 bytes\), but wanted"),
        (lambda p: p.write_text("plain words " * 500), r"^talk\.mp4: is not a picture or film that can be read"),
        (lambda p: p.write_text("ffconcat version 1.0\nfile a.mp4\n"), r"^talk\.mp4: is not a picture or film"),
        (lambda p: p.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n"), r"^talk\.mp4: is not a picture or film"),
        (lambda p: p.write_bytes(bytes(5000)), r"^talk\.mp4: is not a picture or film that can be read"),
        (lambda p: p.write_bytes(b"\xff\xd8\xff\xe0 nothing"), r"^talk\.mp4: cannot be read as a picture"),
        (sound_only, r"^talk\.mp4: holds sound \(aac\) but no film; give a JPEG"),
        (_cut_before_the_index, r"^talk\.mp4: is not a picture or film that can be read, or its index is cut off"),
    ],
)
def test_bad_files_give_one_clear_line(tmp_path: Path, make: Any, message: str) -> None:
    film(tmp_path / "a.mp4", times=[0, 0.04])
    path = tmp_path / "talk.mp4"
    make(path)
    with pytest.raises(MediaError, match=message) as caught:
        open_media(path)
    assert "\n" not in str(caught.value)
    assert caught.value.__class__ is MediaError


def test_a_name_with_a_null_character() -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        open_media("a\0b.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the superuser")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=[0, 0.04])
    path.chmod(0)
    with pytest.raises(MediaError, match=r"a\.mp4: cannot be read: permission denied"):
        open_media(path)


def test_a_forbidden_file_as_the_system_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", times=[0, 0.04])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match=r"a\.mp4: cannot be read: permission denied; check the path and its permissions"):
        open_media(path)


def test_a_file_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.move(film(tmp_path / "a.mp4"), tmp_path / "concat:a.mp4")
    assert len(times_of(Path("concat:a.mp4"))) == 25


def test_a_film_without_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", codec="mpeg4")
    data = path.read_bytes()
    at = data.index(b"movi") + 4
    path.write_bytes(data[:at])
    with pytest.raises(MediaError, match=r"^a\.avi: holds no frame that can be decoded; record or export it again"):
        open_media(path)


def test_a_film_that_declares_too_much(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", [1, 2])
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"^a\.gif: .*65535 × 65535 pixels, but at most"):
        open_media(path)


def test_a_film_that_declares_too_much_for_the_look_into_its_streams(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"YUV4MPEG2 W16000 H16000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(5000))
    with pytest.raises(MediaError, match=r"^a\.mp4: .*16000 × 16000 pixels, but at most 8192 × 8192 are read; make it smaller"):
        open_media(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"options": {"movflags": "faststart"}}),
        ("sound.mp4", {"options": {"movflags": "faststart"}, "sound": "aac"}),
        ("fragments.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}, "codec_options": {"g": "10"}}),
        ("a.mkv", {}),
        ("sound.mkv", {"sound": "aac"}),
        ("a.webm", VP8),
        ("a.avi", {"codec": "mpeg4"}),
    ],
)
def test_a_cut_film_gives_what_it_has_and_then_the_error(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = film(tmp_path / name, times=[i / 25 for i in range(100)], pictures=noise, **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with open_media(path) as opened:
        frames, message = frames_until_error(opened)
    assert 40 <= len(frames) <= 65
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(len(frames))], abs=1e-3)
    head, _, rest = message.partition(" s of ")
    assert head.startswith(f"{name}: cannot decode after ")
    assert float(head.rpartition(" ")[2]) == pytest.approx(frames[-1].time_s, abs=0.05)
    assert rest.endswith("; what comes before is good")


def test_a_cut_gif(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", range(10, 200, 10))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_media(path) as opened:
        frames, message = frames_until_error(opened)
    assert re.match(r"a\.gif: cannot decode after .* nothing more can be read", message)
    shades = [int(f.rgb[2, 2, 0]) for f in frames]
    assert 8 <= len(shades) <= 13
    assert shades[:-1] == list(range(10, 200, 10))[: len(shades) - 1]  # the last one may lie across the cut


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_damage_in_the_middle(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, times=[i / 25 for i in range(100)], pictures=noise)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    with open_media(path) as opened:
        frames, message = frames_until_error(opened)
    assert re.search(r": cannot decode after (1|2)\.\d\d s of 4\.00 s: ", message)
    assert [f.index for f in frames] == list(range(len(frames)))
    assert 40 <= len(frames) <= 55


def test_sampling_meets_the_damage_too(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times=[i / 25 for i in range(100)], pictures=noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with open_media(path) as opened, pytest.raises(MediaError, match="cannot decode after 2"):
        list(opened.frames(1.0))


def test_sound_that_goes_on_after_the_film_is_no_damage(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        assert len(times_of(film(tmp_path / name, sound="aac", sound_s=3.0))) == 25


@pytest.mark.parametrize(
    ("kind", "make", "message"),
    [
        ("picture", lambda p: film(p, form="mp4"), "is no still picture, but wanted one"),
        ("video", lambda p: jpeg_with_orientation(p, 1, corners()), "a: is a picture, but wanted a video; leave out kind"),
    ],
)
def test_kind_is_demanded(tmp_path: Path, kind: Any, make: Any, message: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(MediaError, match=message):
        open_media(tmp_path / "a", kind=kind)


def test_kind_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind must be 'picture', 'video', 'camera' or None, but got 'film'"):
        open_media(tmp_path / "a.mp4", kind="film")  # type: ignore[arg-type]


# --- cameras and addresses -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pattern(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Any camera is a test pattern; gives what was asked for."""
    asked: list[tuple[str, str | None]] = []

    def fake(place: str, *, options: dict[str, str], form: str | None = None, timeout: float | None = None) -> Any:
        asked.append((place, form))
        return av.open("testsrc=size=64x48:rate=25", format="lavfi")

    monkeypatch.setattr("mien.media.read.av_open", fake)
    return asked


@pytest.mark.parametrize(
    ("platform", "wanted"),
    [("linux", ("/dev/video0", "v4l2")), ("darwin", ("0:none", "avfoundation")), ("win32", ("video=Cam", "dshow"))],
)
def test_camera(
    pattern: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch, platform: str, wanted: tuple[str, str]
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    device = av.device.DeviceInfo("Cam", "", False, ["video"])
    monkeypatch.setattr(av.device, "enumerate_input_devices", lambda form: [device])
    with open_media(0) as camera:
        assert pattern == [wanted]
        info = camera.info
        assert (info.name, info.kind, info.duration_s, info.frames) == ("camera 0", "camera", None, None)
        frames = camera.frames()
        assert [next(frames).time_s for _ in range(3)] == pytest.approx([0, 0.04, 0.08])
        frames.close()
        assert next(camera.frames()).time_s == pytest.approx(0.12)  # it goes on: a camera has no second showing
        assert len(pattern) == 1


@pytest.mark.skipif(os.path.exists("/dev/video61"), reason="there is such a camera")
def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(MediaError, match=r"^camera 61: cannot be opened: no such file or directory; connect it"):
        open_media(61)
    with pytest.raises(MediaError, match=r"^/dev/video61: cannot be opened: there is no such camera; connect it"):
        open_media("/dev/video61")
    with pytest.raises(MediaError, match="camera 61: is a camera, but wanted a picture"):
        open_media(61, kind="picture")


def test_a_device_that_is_no_camera() -> None:
    with pytest.raises(MediaError, match=r"^/dev/null: cannot be opened: "):
        open_media("/dev/null")


def test_a_camera_that_is_not_ready_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """avfoundation answers EAGAIN until there is a frame."""
    real = av.open("testsrc=size=64x48:rate=25", format="lavfi")
    packets, calls = real.demux(real.streams.video[0]), []

    class NotYet:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def demux(self, _: Any) -> Iterator[Any]:
            calls.append(1)
            if len(calls) < 5:
                raise av.error.BlockingIOError(errno.EAGAIN, "not yet")
            yield from packets

    monkeypatch.setattr("mien.media.read.av_open", lambda *_, **__: NotYet())
    with open_media(0) as camera:
        assert next(camera.frames()).rgb.shape == (48, 64, 3)
    assert len(calls) == 5


@pytest.mark.parametrize("live", [True, False])
def test_a_damaged_packet_ends_a_film_but_not_a_camera(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live: bool) -> None:
    path = film(tmp_path / "a.mp4", codec="mjpeg", pix_fmt="yuvj420p", times=[i / 25 for i in range(6)])
    data = path.read_bytes()
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 6
    path.write_bytes(data[: starts[3]] + bytes(starts[4] - starts[3]) + data[starts[4] :])
    with open_media(path, kind="camera" if live else None) as opened:
        assert opened.info.kind == ("camera" if live else "video")
        if live:
            frames = list(opened.frames())
        else:
            frames, message = frames_until_error(opened)
            assert message.startswith("a.mp4: cannot decode after 0.08 s of 0.24 s: invalid data")
    assert [f.time_s for f in frames] == pytest.approx([0, 0.04, 0.08, 0.16, 0.20] if live else [0, 0.04, 0.08])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/a.mp4", r"^http://127\.0\.0\.1:9/a\.mp4: cannot be opened: connection refused"),
        ("rtsp://user:secret@127.0.0.1:9/a?key=1", r"^rtsp://127\.0\.0\.1:9/a: cannot be opened: connection refused"),
        ("gopher://a/b", r"^gopher://a/b: cannot be opened: gopher is no known kind of address; known: http, https"),
        ("concat://a", r"concat is no known kind of address"),
    ],
)
def test_addresses_that_do_not_answer(address: str, message: str) -> None:
    with pytest.raises(MediaError, match=message) as caught:
        open_media(address)
    assert "secret" not in str(caught.value)
    assert "key=1" not in str(caught.value)


def test_a_film_over_http(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            with open_media(f"{address}/a.mp4") as opened:
                assert (opened.info.kind, opened.info.name) == ("video", f"{address}/a.mp4")
                assert [len(list(opened.frames())) for _ in range(2)] == [25, 25]
            with pytest.raises(MediaError, match=r"/none\.mp4: cannot be opened: "):
                open_media(f"{address}/none.mp4")
            film(tmp_path / "s.mp4", sound="aac")
            for number, source in enumerate((f"{address}/s.mp4", (tmp_path / "s.mp4").as_uri())):
                copy_with_sound(source, tmp_path / f"copy{number}.mp4")
                with open_media(tmp_path / f"copy{number}.mp4") as opened:
                    assert opened.info.has_audio
        finally:
            server.shutdown()


def test_an_address_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("words", "read"):
        monkeypatch.setattr(f"mien.media.{module}.TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        with pytest.raises(MediaError, match=r"/a\.mp4: cannot be opened: no answer within 0\.3 s"):
            open_media(address)


@pytest.mark.parametrize("tail", [b"", b"appended by some program"])
def test_a_whole_gif_with_a_tail(tmp_path: Path, tail: bytes) -> None:
    path = gif(tmp_path / "a.gif", [10, 20, 30])
    path.write_bytes(path.read_bytes() + tail)
    assert len(times_of(path)) == 3


def test_file_address(tmp_path: Path) -> None:
    assert corner_names(read_picture(jpeg_with_orientation(tmp_path / "a b.jpg", 1, corners()).as_uri()).rgb) == "RGBW"


# --- writing -------------------------------------------------------------------------------------------------------------------


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 47), (64, 47), (1, 1)])
def test_written_film_plays_in_browsers_and_keeps_times(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, width, height) as out:
        for time_s in UNEVEN:
            out.write(np.full((height, width, 3), (40, 180, 90), np.uint8), time_s)
    assert leftovers(tmp_path) == ["a.mp4"]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as film_:
        context = film_.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert context.profile in ("High", "Main", "Constrained Baseline")
        assert (context.width, context.height) == (width + width % 2, height + height % 2)
        assert (context.colorspace, context.color_range) == (1, 1)
    with open_media(path) as opened:
        frames = list(opened.frames())
        assert opened.info.duration_s == pytest.approx(1.7 + 0.7, abs=0.01)  # the last frame lasts as long as the one before
    assert [f.time_s for f in frames] == pytest.approx(UNEVEN, abs=2e-5)
    for frame in frames:  # to the very edge, where the padding is
        assert np.abs(frame.rgb.astype(int) - (40, 180, 90)).max() <= 6


def test_written_film_shows_what_was_given(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, fps_hint=25) as out:
        for i in range(30):
            out.write(np.full((HEIGHT, WIDTH, 3), shade(i), np.uint8), i / 25)
    with open_media(tmp_path / "a.mp4") as opened:
        assert [float(f.rgb.mean()) for f in opened.frames()] == pytest.approx([shade(i) for i in range(30)], abs=3)


def test_writer_does_not_keep_the_callers_array(tmp_path: Path) -> None:
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT) as out:
        for i in range(5):
            canvas[:] = 40 * i
            out.write(canvas, i / 25)
    with open_media(tmp_path / "a.mp4") as opened:
        assert [float(f.rgb.mean()) for f in opened.frames()] == pytest.approx([0, 40, 80, 120, 160], abs=3)


@pytest.mark.parametrize("step", ["write", "close"])
def test_an_exception_leaves_nothing_and_an_older_file_stays(tmp_path: Path, step: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")

    def run() -> None:
        with VideoWriter(path, WIDTH, HEIGHT) as out:
            if step == "write":
                out.write(corners(), 0.0)
                assert len(leftovers(tmp_path)) == 2
                raise RuntimeError("stop")

    with pytest.raises(RuntimeError if step == "write" else MediaError, match=r"stop|a\.mp4: no frame was written"):
        run()
    assert leftovers(tmp_path) == ["a.mp4"]
    assert path.read_bytes() == b"older"


def test_a_target_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none/a\.mp4: cannot be written: no such file or directory; check that the folder"):
        VideoWriter(tmp_path / "none" / "a.mp4", WIDTH, HEIGHT)
    with pytest.raises(MediaError, match=r"none/a\.png: cannot be written: no such file or directory; check that the folder"):
        write_picture(tmp_path / "none" / "a.png", corners())


@pytest.mark.parametrize("when", ["while writing", "while closing"])
def test_a_disk_that_fills_up(tmp_path: Path, when: str) -> None:
    """A limit on the size of files stands in for the disk: write() fails in the same way, only with EFBIG."""

    def fill() -> None:
        with VideoWriter(tmp_path / "a.mp4", 256, 192) as out:
            for i in range(20):
                out.write(np.random.default_rng(i).integers(0, 255, (192, 256, 3), np.uint8), i / 25)

    fill()
    room = 100_000 if when == "while writing" else (tmp_path / "a.mp4").stat().st_size - 1
    (tmp_path / "a.mp4").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(MediaError, match=r"a\.mp4: cannot be written: .*; make room, or write elsewhere"):
            fill()
        assert leftovers(tmp_path) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda out: out.write(np.zeros((HEIGHT, WIDTH, 4), np.uint8), 1),
            r"rgb must be uint8 \(48, 64, 3\), but got uint8 \(48, 64, 4\)",
        ),
        (lambda out: out.write(np.zeros((HEIGHT, WIDTH, 3)), 1), r"but got float64 \(48, 64, 3\)"),
        (lambda out: out.write(corners(), -1.0), "time_s must be 0 or more seconds, but got -1"),
        (lambda out: out.write(corners(), math.nan), "time_s must be"),
        (lambda out: out.write(corners(), 0.5), r"time_s must increase by 1/90000 s or more, but 0\.5 follows 0\.5"),
    ],
)
def test_wrong_arguments_to_write(tmp_path: Path, call: Any, message: str) -> None:
    with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT) as out:
        out.write(corners(), 0.5)
        with pytest.raises(ValueError, match=message):
            call(out)
    with pytest.raises(ValueError, match="is closed"):
        out.write(corners(), 2.0)


@pytest.mark.parametrize("arguments", [("a.avi", 8, 8), ("a.mp4", 0, 8), ("a.mp4", 100_000, 100_000)])
def test_wrong_arguments_to_the_writer(tmp_path: Path, arguments: tuple[str, int, int]) -> None:
    with pytest.raises(ValueError, match=r"\.mp4|pixels"):
        VideoWriter(tmp_path / arguments[0], *arguments[1:])
    with pytest.raises(ValueError, match="fps_hint"):
        VideoWriter(tmp_path / "a.mp4", 8, 8, fps_hint=0)
    assert leftovers(tmp_path) == []


def copy_with_sound(source: Path | str, target: Path, until_s: float = math.inf) -> None:
    with open_media(source) as opened, VideoWriter(target, WIDTH, HEIGHT, fps_hint=opened.info.fps, sound_from=source) as out:
        for frame in opened.frames():
            if frame.time_s < until_s:
                out.write(frame.rgb, frame.time_s)


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("s.mp4", {"sound": "aac"}, "aac"),
        ("s.mkv", {"sound": "libmp3lame"}, "mp3"),
        ("s.mkv", {"sound": "libopus"}, "opus"),
        ("s.webm", {"sound": "libopus", **VP8}, "opus"),
        ("s.ts", {"sound": "aac", "form": "mpegts"}, "aac"),
        ("s.avi", {"sound": "pcm_s16le", "codec": "mpeg4"}, "aac"),
        ("s.mkv", {"sound": "flac"}, "aac"),
        ("s.mkv", {"sound": "ac3"}, "aac"),
    ],
)
@pytest.mark.parametrize("late", [0.0, 1.0])
def test_sound_goes_along_and_stays_in_place(tmp_path: Path, name: str, options: dict[str, Any], codec: str, late: float) -> None:
    times = [late + i / 25 for i in range(50)]
    source = film(tmp_path / name, times=times, click_s=late + 1.2, **options)
    target = tmp_path / "out.mp4"
    copy_with_sound(source, target)
    with av.open(str(target)) as out:
        (stream,) = out.streams.audio
        assert stream.codec_context.codec.canonical_name == codec
    assert click_at(target) == pytest.approx(click_at(source), abs=0.03)
    if not name.endswith(".avi"):  # which cannot say that a stream begins late
        assert click_at(target) == pytest.approx(1.2, abs=0.06)


def test_sound_that_begins_after_the_picture(tmp_path: Path) -> None:
    for codec in ("aac", "flac"):
        source = film(tmp_path / "s.mkv", times=[i / 25 for i in range(50)], sound=codec, sound_start_s=0.8, click_s=1.2)
        copy_with_sound(source, tmp_path / "out.mp4")
        assert click_at(tmp_path / "out.mp4") == pytest.approx(1.2, abs=0.06)


@pytest.mark.parametrize(("until_s", "wanted"), [(math.inf, 4.0), (1.0, 1.0)])
@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_sound_ends_with_the_picture_where_that_was_cut(tmp_path: Path, until_s: float, wanted: float, codec: str) -> None:
    source = film(tmp_path / "s.mkv", times=[i / 25 for i in range(100)], sound=codec)
    copy_with_sound(source, tmp_path / "out.mp4", until_s)
    with av.open(str(tmp_path / "out.mp4")) as out:
        end = max(float(f.pts * f.time_base) + f.samples / f.sample_rate for f in out.decode(audio=0))
    assert end == pytest.approx(wanted, abs=0.2)


def test_film_without_sound_gives_a_film_without_sound(tmp_path: Path) -> None:
    copy_with_sound(film(tmp_path / "s.mp4"), tmp_path / "out.mp4")
    with open_media(tmp_path / "out.mp4") as opened:
        assert not opened.info.has_audio


def test_sound_from_a_missing_film(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none\.mp4: cannot be read: there is no such file"):
        VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, sound_from=tmp_path / "none.mp4")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG"])
def test_write_picture(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, corners())
    assert leftovers(tmp_path) == [name]
    assert corner_names(read_picture(tmp_path / name).rgb) == "RGBW"


def test_write_picture_refuses_other_suffixes_and_shapes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.gif: a picture is written as \.png, \.jpg or \.jpeg, but got '\.gif'"):
        write_picture(tmp_path / "a.gif", corners())
    with pytest.raises(ValueError, match=r"rgb must be uint8 \(height, width, 3\), but got uint8 \(48, 64\)"):
        write_picture(tmp_path / "a.png", corners()[..., 0])
    assert leftovers(tmp_path) == []


# --- real media ----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of test media is not here")
@pytest.mark.parametrize(
    ("name", "kind", "size", "frames", "last_s", "sound"),
    [
        ("sad_to_happy.mp4", "video", (640, 360), 472, 19.645, True),
        ("single_face.mp4", "video", (640, 360), 72, 2.367, True),
        ("face_noface.mov", "video", (960, 540), 169, 6.360, True),
        ("noface_face.mov", "video", (960, 540), 169, 6.345, True),
        ("no_face.mp4", "video", (960, 540), 95, 3.917, True),
        ("three_people_walking.gif", "video", (480, 270), 41, 3.33, False),
        ("multi_face.jpg", "picture", (1000, 667), 1, 0.0, False),
    ],
)
def test_real_media(name: str, kind: str, size: tuple[int, int], frames: int, last_s: float, sound: bool) -> None:
    with open_media(SHARED / name) as opened:
        info = opened.info
        assert (info.name, info.kind, (info.width, info.height), info.has_audio) == (name, kind, size, sound)
        looks = [(f.index, f.time_s, f.rgb.shape) for f in opened.frames()]
    assert len(looks) == frames
    assert looks[-1][1] == pytest.approx(last_s, abs=1e-3)
    assert all(b[1] > a[1] for a, b in itertools.pairwise(looks))
    assert {shape for _, _, shape in looks} == {(size[1], size[0], 3)}


# --- pictures in memory


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_a_picture_in_memory(form: str, options: dict[str, Any]) -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, 32:] = (200, 40, 10)
    data = encoded(Image.fromarray(rgb), form, **options)
    found = decode_picture(data)
    assert (found.shape, found.dtype) == ((48, 64, 3), np.uint8)
    assert np.abs(found[:, [4, 60]].astype(int) - rgb[:, [4, 60]]).max() <= 6
    with pytest.raises(MediaError, match=r"is 64 × 48 pixels, but at most 0\.003 megapixels"):
        decode_picture(data, max_pixels=3000)
    for length in (12, 40, len(data) // 2):
        with pytest.raises(MediaError):
            decode_picture(data[:length])


def test_a_grey_jpeg_in_memory_becomes_rgb() -> None:
    grey = Image.fromarray(np.full((20, 30), 77, np.uint8))
    assert decode_picture(encoded(grey, "JPEG")).shape == (20, 30, 3)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(50), b"\xff\xd8\xff", b"RIFF" + bytes(40), bytes(100)])
def test_what_is_no_picture_in_memory(data: bytes) -> None:
    with pytest.raises(MediaError, match="the picture"):
        decode_picture(data)


def test_a_picture_in_memory_is_judged_by_its_header() -> None:
    with pytest.raises(MediaError, match=r"is 30000 × 30000 pixels, but at most 4 megapixels"):
        decode_picture(png_header(30_000, 30_000), max_pixels=4_000_000)
