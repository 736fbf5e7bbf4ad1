"""Pictures and films as they are shown: square pixels, the clean aperture, tiles, colours of a profile and of HDR, upright."""

import os
import struct
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

import mien
from heif_files import tiled
from media_files import corner_names, corners, encoded, film, gamma_png, gif
from mien.errors import MediaError
from mien.media import VideoWriter, open_media, read_picture, rotated
from mien.media.shown import composed, quarter, turned
from mien.turn import turn_of

# --- pixels that are not square


def with_aspect(
    path: Path,
    aspect: Fraction,
    *,
    codec: str = "libx264",
    form: str | None = None,
    size: tuple[int, int] = (64, 48),
    rotation: int | None = None,
) -> Path:
    """A round disc as it lies in pixels of that aspect, and corners in four colours."""
    width, height = size
    with av.open(str(path), "w", format=form) as out:
        stream: Any = out.add_stream(codec, rate=25)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.sample_aspect_ratio = aspect
        stream.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(disc(width, height, float(aspect)), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def disc(width: int, height: int, aspect: float) -> np.ndarray:
    rgb = np.zeros((height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    rgb[((x + 0.5 - width / 2) * aspect) ** 2 + (y + 0.5 - height / 2) ** 2 < (height * 0.3) ** 2] = 255
    return rgb


def roundness(rgb: np.ndarray) -> float:
    """Width of what is bright by its height."""
    bright = rgb[..., 1] > 128
    return float(bright.any(axis=0).sum() / bright.any(axis=1).sum())


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(64, 45), Fraction(16, 15), Fraction(8, 9), Fraction(2), Fraction(1)])
@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [("a.mp4", "libx264", None), ("a.mkv", "mpeg4", None), ("a.ts", "mpeg2video", "mpegts"), ("a.vob", "mpeg2video", "vob")],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, name: str, codec: str, form: str | None) -> None:
    path = with_aspect(tmp_path / name, aspect, codec=codec, form=form, size=(96, 72))
    if codec == "mpeg2video":  # which has but four shapes of a picture: the nearest
        with av.open(str(path)) as source:
            aspect = Fraction(source.streams.video[0].sample_aspect_ratio)
    with open_media(path) as opened:
        frame = next(opened.frames())
        assert (opened.info.width, opened.info.height) == (round(96 * aspect), 72)
        assert frame.rgb.shape == (72, round(96 * aspect), 3)
    if codec != "mpeg2video":
        assert roundness(frame.rgb) == pytest.approx(1, abs=0.06)


def test_square_pixels_then_the_turn(tmp_path: Path) -> None:
    path = with_aspect(tmp_path / "a.mp4", Fraction(4, 3), rotation=90)
    with open_media(path) as opened:
        assert (opened.info.width, opened.info.height) == (48, 85)
        assert roundness(next(opened.frames()).rgb) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("aspect", [Fraction(1, 100), Fraction(100, 1)])
def test_an_absurd_aspect_is_not_believed(tmp_path: Path, aspect: Fraction) -> None:
    with open_media(with_aspect(tmp_path / "a.mp4", aspect)) as opened:
        assert (opened.info.width, opened.info.height) == (64, 48)


def test_the_annotated_film_has_shown_pixels(tmp_path: Path) -> None:
    from mien.cluster import AnalysisOptions, analyze_file

    path = with_aspect(tmp_path / "a.mp4", Fraction(4, 3))
    analyze_file(path, tmp_path / "a.mien", AnalysisOptions())
    with open_media(tmp_path / "a.mien" / "annotated.mp4") as opened:
        assert (opened.info.width, opened.info.height) == (86, 48)  # 85, and one column more for the encoder
        assert roundness(next(opened.frames()).rgb) == pytest.approx(1, abs=0.08)


def still(path: Path, form: str, aspect: Fraction) -> Path:
    """`corners` as a frame that ffmpeg took out of a film of such pixels."""
    stored = corners(72, 48)
    pixels = {"mjpeg": "yuvj444p", "png": "rgb24", "tiff": "rgb24"}[form]
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(form, rate=1)
        stream.width, stream.height, stream.pix_fmt = 72, 48, pixels
        stream.codec_context.sample_aspect_ratio = aspect
        frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format=pixels)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize("form", ["mjpeg", "png", "tiff"])
@pytest.mark.parametrize(("aspect", "width"), [(Fraction(64, 45), 102), (Fraction(8, 9), 64), (Fraction(1), 72)])
def test_a_frame_taken_out_of_a_film_of_oblong_pixels(tmp_path: Path, form: str, aspect: Fraction, width: int) -> None:
    with open_media(still(tmp_path / f"a.{form}", form, aspect)) as media:
        rgb = next(media.frames()).rgb
        assert (media.info.width, media.info.height) == (width, 48)
        assert ("made square" in "".join(media.info.notes)) == (aspect != 1)
    assert rgb.shape == (48, width, 3)
    assert corner_names(rgb) == "RGBW"


@pytest.mark.parametrize("form", ["jpg", "png", "tif", "bmp"])
def test_a_picture_with_a_resolution_across_and_another_down(tmp_path: Path, form: str) -> None:
    picture = Image.fromarray(corners(72, 48))
    for dpi, width in (((200, 100), 36), ((100, 200), 144), ((72, 71.9), 72), ((300, 1), 72), ((0, 72), 72)):
        picture.save(tmp_path / f"a.{form}", dpi=dpi)
        assert read_picture(tmp_path / f"a.{form}").rgb.shape == (48, width, 3)
    if form == "bmp":
        return
    exif = Image.Exif()
    exif[0x0112] = 6  # made square as it is stored, then turned
    picture.save(tmp_path / f"b.{form}", dpi=(100, 200), exif=exif)
    rgb = read_picture(tmp_path / f"b.{form}").rgb
    assert (rgb.shape, corner_names(rgb)) == ((144, 48, 3), "BRWG")


@pytest.mark.parametrize("resolution", [(300, 1), (0, 0), (72, 0)])
def test_a_resolution_in_exif_alone_is_no_shape(tmp_path: Path, resolution: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x0128] = IFDRational(*resolution), 2
    data = bytearray(encoded(Image.fromarray(corners(72, 48)), "JPEG", exif=exif))
    at = data.index(b"JFIF\0") - 4
    del data[at : at + 18]  # as cameras write it, without a JFIF header
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_picture(tmp_path / "a.jpg").rgb.shape == (48, 72, 3)


def test_oblong_pixels_are_counted_as_they_are_shown(tmp_path: Path) -> None:
    Image.new("L", (400, 100)).save(tmp_path / "a.png", dpi=(100, 300))
    assert read_picture(tmp_path / "a.png").rgb.shape == (100, 1200, 3)
    with pytest.raises(MediaError, match=r"a\.png: is 1200 × 100 pixels, but at most 0\.1 megapixels are read"):
        open_media(tmp_path / "a.png", max_pixels=100_000)


def test_the_aspect_of_a_gif(tmp_path: Path) -> None:
    Image.fromarray(corners(72, 48)).quantize(8).save(tmp_path / "a.gif")
    data = bytearray((tmp_path / "a.gif").read_bytes())
    data[12] = 113  # (113 + 15) / 64: twice as wide
    (tmp_path / "a.gif").write_bytes(data)
    assert read_picture(tmp_path / "a.gif").rgb.shape == (48, 144, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
def test_the_gamma_of_a_png(tmp_path: Path, mode: str) -> None:
    colour: Any = {"RGB": (64, 64, 64), "RGBA": (64, 64, 64, 255), "I;16": 64 * 257}.get(mode, 64)
    picture = Image.new("L", (8, 8), 64).convert("P") if mode == "P" else Image.new(mode, (8, 8), colour)
    for gamma, srgb, grey in ((1 / 2.2, False, 64), (1.0, False, 136), (0.3, False, 31), (1.0, True, 64), (50.0, False, 64)):
        (tmp_path / "a.png").write_bytes(gamma_png(picture, gamma, srgb=srgb))
        assert np.abs(read_picture(tmp_path / "a.png").rgb.astype(int) - grey).max() <= 1, (gamma, srgb)


def squeezed(path: Path, pictures: list[np.ndarray], aspect: Fraction) -> Path:
    """The pictures as a film of such pixels, ten a second."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=10)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = round(width / aspect / 2) * 2, height // 2 * 2, "yuv420p"
        context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
        for rgb in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[: context.height]), format="rgb24")
            out.mux(stream.encode(frame.reformat(width=context.width, interpolation="LANCZOS")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(64, 45)])
def test_a_face_in_oblong_pixels_appears_as_in_square_ones(tmp_path: Path, hopper: Path, aspect: Fraction) -> None:
    rgb = np.asarray(Image.open(hopper).convert("RGB"))
    height, width = 320, round(320 * rgb.shape[1] / rgb.shape[0])
    square_rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))
    films = [mien.Analyzer().video(squeezed(tmp_path / "a.mp4", [square_rgb], shape)) for shape in (Fraction(1), aspect)]
    square, oblong = films
    assert len(square.boxes) == len(oblong.boxes) == 1
    assert np.abs(square.boxes - oblong.boxes).max() < 4
    assert square.emotions.argmax() == oblong.emotions.argmax()
    assert np.abs(square.emotions - oblong.emotions).max() < 0.2  # it has fewer columns, and is blurred from side to side


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(64, 45)])
def test_faces_of_clips_in_oblong_pixels(tmp_path: Path, clips: Path, aspect: Fraction) -> None:
    analyzer, shown = mien.Analyzer(smoothing_s=0), 0
    alike = []
    for name, every in (("sad_to_happy.mp4", 0.5), ("single_face.mp4", 0.5), ("classroom.gif", 1.0), ("multi_face.jpg", None)):
        with open_media(clips / name) as opened:
            pictures = [frame.rgb for frame in opened.frames(every)]
        films = [analyzer.video(squeezed(tmp_path / "a.mp4", pictures, shape), rotate=0) for shape in (Fraction(1), aspect)]
        square, oblong = films
        for frame in range(len(square)):
            one, other = square.frame_rows == frame, oblong.frame_rows == frame
            for box, scores in zip(square.boxes[one], square.emotions[one], strict=True):
                second, first = np.sort(scores)[-2:]
                if first - second < 0.1:
                    continue  # a mere second encoding turns these over
                shown += 1
                near = np.abs(oblong.boxes[other] - box).max(axis=1) < 0.3 * (box[2] - box[0])
                if near.any():
                    alike.append(oblong.emotions[other][near.argmax()].argmax() == scores.argmax())
    assert len(alike) >= 0.97 * shown > 50
    assert np.mean(alike) >= 0.92


# --- the part that is meant to be seen


def test_the_clean_aperture_of_an_mp4(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 128, np.uint8)
    picture[8:40, 4:52] = corners(48, 32)
    path = film(tmp_path / "a.mp4", pictures=lambda _: picture, times=[0, 0.04])
    path.write_bytes(with_clap(path.read_bytes(), 48, 32, -4, 0))
    with open_media(path) as opened:
        assert (opened.info.width, opened.info.height) == (48, 32)
        rgb = next(opened.frames()).rgb
    assert corner_names(rgb) == "RGBW"
    assert np.abs(rgb.astype(int) - corners(48, 32))[2:-2, 2:-2].mean() < 12


@pytest.mark.parametrize("by_hand", [0, 90])
def test_clean_aperture_oblong_pixels_and_turns_together(tmp_path: Path, by_hand: int) -> None:
    path = with_aspect(tmp_path / "a.mp4", Fraction(64, 45), size=(72, 48), rotation=90)
    path.write_bytes(with_clap(path.read_bytes(), 54, 40, 0, 0))
    with open_media(path, rotate=by_hand) as media:
        rgb = next(media.frames()).rgb
        assert (media.info.height, media.info.width) == rgb.shape[:2]
        # 54 stored columns are 77 shown ones, and stand upright.
        assert rgb.shape[:2] == ((77, 40) if not by_hand else (40, 77))
    assert roundness(rgb) == pytest.approx(1, abs=0.08)
    bright = np.argwhere(rgb[..., 1] > 128)
    assert np.abs(bright.mean(axis=0) - (np.array(rgb.shape[:2]) - 1) / 2).max() < 1.5  # the disc's middle is the picture's


def with_clap(data: bytes, width: int, height: int, right: int, down: int) -> bytes:
    """ISO 14496-12, 12.1.4: a clean aperture at the end of the film's sample entry; the boxes around it grow by its length."""
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", width, 1, height, 1, right, 1, down, 1)
    at = data.rindex(b"avc1") - 4  # the first one stands among the brands
    end = at + int.from_bytes(data[at : at + 4], "big")
    out = bytearray(data[:end] + clap + data[end:])
    for kind in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = out.rindex(kind) - 4
        out[place : place + 4] = (int.from_bytes(out[place : place + 4], "big") + len(clap)).to_bytes(4, "big")
    if out.index(b"moov") < out.index(b"mdat"):
        raise AssertionError("the index is in front: its offsets would have to move")
    return bytes(out)


def test_the_pixel_crop_of_a_matroska_film(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 128, np.uint8)
    picture[8:40, 4:52] = corners(48, 32)
    path = film(tmp_path / "a.mkv", pictures=lambda _: picture, times=[0, 0.04])
    data = path.read_bytes()
    size = b"\xb0\x81\x40\xba\x81\x30"  # width 64, height 48
    crop = b"\x54\xaa\x81\x08\x54\xbb\x81\x08\x54\xcc\x81\x04\x54\xdd\x81\x0c"
    # In the place of 19 bytes that say the unit of the size, that nothing is added, and of a void.
    at = data.index(b"\xe0\x8a" + size)
    assert data[at + 8 : at + 17] == b"\x54\xb2\x81\x04\x55\xee\x81\x00\xec"
    path.write_bytes(data[:at] + b"\xe0\x96" + size + crop + b"\xec\x81\x00" + data[at + 27 :])
    with open_media(path) as opened:
        assert (opened.info.width, opened.info.height) == (48, 32)
        assert corner_names(next(opened.frames()).rgb) == "RGBW"


# --- tiles


@pytest.mark.parametrize("form", ["heic", "avif"])
@pytest.mark.parametrize(("turns", "seen"), [(0, "RGBW"), (1, "GWRB"), (3, "BRWG")])
def test_a_picture_of_tiles_is_read_whole(tmp_path: Path, form: str, turns: int, seen: str) -> None:
    path = tiled(tmp_path / f"a.{form}", corners(300, 200), 128, form, turns)
    with open_media(path) as opened:
        assert opened.info.kind == "picture"
        assert (opened.info.width, opened.info.height) == ((300, 200) if turns % 2 == 0 else (200, 300))
        rgb = next(opened.frames()).rgb
    assert corner_names(rgb) == seen


def test_a_heic_without_its_reader_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiled(tmp_path / "a.heic", corners(300, 200), 128)
    monkeypatch.setitem(__import__("sys").modules, "pi_heif.as_plugin", None)
    with pytest.raises(MediaError, match=r"^a\.heic: is a HEIC picture, which needs pi-heif; run: pip install pi-heif"):
        open_media(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"II*\0\x10\0\0\0CR\x02\0", "raw camera"),
        (b"\0\0\0\x18ftypcrx ", "raw camera"),
    ],
)
def test_pictures_that_are_not_read_are_refused_by_name(tmp_path: Path, head: bytes, kind: str) -> None:
    (tmp_path / "a").write_bytes(head + bytes(200))
    with pytest.raises(MediaError, match=f"^a: is a picture of the kind {kind}, which is not read; save it as JPEG or PNG"):
        open_media(tmp_path / "a")


@pytest.mark.parametrize("tag", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_a_raw_picture_in_a_tiff_is_refused_and_not_read_as_its_thumbnail(tmp_path: Path, tag: dict[int, Any]) -> None:
    (tmp_path / "a.dng").write_bytes(encoded(Image.fromarray(corners()), "TIFF", tiffinfo=tag))
    with pytest.raises(MediaError, match=r"^a\.dng: is a picture of the kind raw camera"):
        read_picture(tmp_path / "a.dng")


# --- colours


def test_the_colours_of_a_profile(tmp_path: Path) -> None:
    """A profile whose primaries are exchanged: red is stored as blue."""
    wanted = corners()
    profile = bgr_profile()
    (tmp_path / "a.jpg").write_bytes(
        encoded(Image.fromarray(wanted[..., ::-1]), "JPEG", quality=95, subsampling=0, icc_profile=profile)
    )
    (tmp_path / "b.png").write_bytes(encoded(Image.fromarray(wanted[..., ::-1]), "PNG", icc_profile=profile))
    for name in ("a.jpg", "b.png"):
        assert corner_names(read_picture(tmp_path / name).rgb) == "RGBW"


def bgr_profile() -> bytes:
    """sRGB with its red and blue exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data.replace(b"s\0R\0G\0B", b"o\0t\0h\0e").replace(b"sRGB", b"othe"))


def test_a_damaged_profile_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(corners()), "PNG", icc_profile=b"nothing" * 30))
    assert corner_names(read_picture(tmp_path / "a.png").rgb) == "RGBW"


def pq(linear: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, of 203 nits for 1."""
    y = np.clip(linear, 0, None) * 203 / 10_000
    power = y**0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(linear: np.ndarray) -> np.ndarray:
    """BT.2100, of 203 nits on a screen of 1,000 for 1; grey only, where the colour does not matter."""
    scene = (np.clip(linear, 0, None) * 0.203) ** (1 / 1.2)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize(("transfer", "coded"), [(16, pq), (18, hlg)])
@pytest.mark.parametrize("grey", [40, 90, 128, 180])
def test_an_hdr_film_is_shown_as_on_a_screen(tmp_path: Path, transfer: int, coded: Any, grey: int) -> None:
    level = float(coded(np.array(((grey / 255 + 0.055) / 1.055) ** 2.4)))
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 64, 48, "yuv420p10le"
        context.options = {"crf": "4"}
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, transfer, 1
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        luma = round(4 * (16 + 219 * level))
        for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
        frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, transfer, 1
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_media(path) as opened:
        rgb = next(opened.frames()).rgb
    assert rgb.reshape(-1, 3).mean(axis=0) == pytest.approx([grey] * 3, abs=5)


def test_an_hdr_png(tmp_path: Path) -> None:
    import zlib

    level = round(255 * float(pq(np.array(((128 / 255 + 0.055) / 1.055) ** 2.4))))
    data = encoded(Image.new("RGB", (8, 8), (level,) * 3), "PNG")
    chunk = b"cICP" + bytes([9, 16, 0, 1])
    at = data.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data[:at] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at:])
    assert read_picture(tmp_path / "a.png").rgb[4, 4].tolist() == pytest.approx([128] * 3, abs=5)


# --- upright


def test_turns_compose() -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    ways = [(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]
    for first in ways:
        for then in ways:
            np.testing.assert_array_equal(turned(rgb, composed(first, then)), turned(turned(rgb, first), then))
    for degrees in (0, 90, 180, 270):
        np.testing.assert_array_equal(rotated(rgb, degrees), np.rot90(rgb, -degrees // 90))
    with pytest.raises(ValueError, match="0, 90, 180 or 270 degrees clockwise, but got 45"):
        quarter(45)


@pytest.fixture(scope="module")
def portraits(hopper: Path, astronaut: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in (hopper, astronaut)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_picture_is_found_and_read_upright(tmp_path: Path, portraits: list[np.ndarray], degrees: int) -> None:
    analyzer = mien.Analyzer()
    for number, rgb in enumerate(portraits):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.rot90(rgb, degrees // 90)).save(path)
        result, upright = analyzer.picture(path), analyzer.picture(rgb)
        assert result.frame.rotated_deg == degrees
        np.testing.assert_array_equal(result.frame.rgb, rgb)
        assert result.expressions == upright.expressions
        by_hand = analyzer.picture(path, rotate=degrees)
        assert by_hand.expressions == upright.expressions
        assert analyzer.picture(path, rotate=0).frame.rgb.shape[:2] == np.rot90(rgb, degrees // 90).shape[:2]
        assert turn_of(analyzer.detector, [np.rot90(rgb, degrees // 90).copy()]) == degrees


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_film(tmp_path: Path, hopper: Path, degrees: int) -> None:
    rgb = np.asarray(Image.open(hopper).convert("RGB").resize((256, 300)))
    path = tmp_path / "a.mp4"
    stored = np.ascontiguousarray(np.rot90(rgb, degrees // 90))
    with VideoWriter(path, stored.shape[1], stored.shape[0]) as out:
        for i in range(6):
            out.write(stored, i / 5)
    analyzer = mien.Analyzer()
    found, left = analyzer.video(path), analyzer.video(path, rotate=0)
    assert (found.info.rotated_deg, found.info.width, found.info.height) == (degrees, 256, 300)
    assert found.info.notes == (f"turned by {degrees}° clockwise, beyond what the file says",)
    assert (left.info.rotated_deg, left.info.notes) == (0, ())
    assert set(found.boxes.shape) == {6, 4}


def test_a_turned_film_through_a_pipe(tmp_path: Path, hopper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.asarray(Image.open(hopper).convert("RGB").resize((256, 300)))
    stored = np.ascontiguousarray(np.rot90(rgb))
    path = film(tmp_path / "a.ts", form="mpegts", times=[i / 25 for i in range(40)], pictures=lambda i: stored, size=(300, 256))
    os.mkfifo(tmp_path / "p.ts")
    writer = threading.Thread(target=lambda: (tmp_path / "p.ts").write_bytes(path.read_bytes()))
    writer.start()
    found = mien.Analyzer().video(tmp_path / "p.ts")
    writer.join(30)
    assert (found.info.rotated_deg, found.info.width, found.info.height) == (90, 256, 300)
    assert found.info.notes == ("turned by 90° clockwise, beyond what the file says",)
    assert found.frames.tolist() == list(range(40))  # none was lost to the look at the first ones
    assert len(found.boxes) == 40


def test_the_first_frames_are_given_again(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=[i / 10 for i in range(6)], rate=10)
    for count in (0, 2, 6, 9):
        with open_media(path) as media:
            first = media.first(count)
            again, once_more = list(media.frames()), list(media.frames())
        assert (
            [frame.time_s for frame in again] == [frame.time_s for frame in once_more] == pytest.approx([i / 10 for i in range(6)])
        )
        for one, other in zip(first, again, strict=False):
            assert (one.index, one.time_s) == (other.index, other.time_s)
            np.testing.assert_array_equal(one.rgb, other.rgb)
        assert len(first) == min(count, 6)


def test_damage_behind_the_first_frames_is_told_by_whoever_reads_on(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times=[i / 25 for i in range(25)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_media(path) as media:
        some = media.first(25)
        assert 0 < len(some) < 25
        seen = []
        with pytest.raises(MediaError, match="what comes before is good"):
            seen += media.frames()
        for frame in media.frames(5.0):
            assert frame.index == 0
            break


class Watched(mien.YuNet):
    """Notes how large the pictures are that it searches."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[int] = []

    def __call__(self, rgb: np.ndarray) -> Any:
        self.sides.append(max(rgb.shape))
        return super().__call__(rgb)


def test_looking_for_the_turn_of_large_frames_has_a_bound(hopper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait = np.asarray(Image.open(hopper).convert("RGB").resize((1024, 1200)))
    large = np.full((1440, 2560, 3), 90, np.uint8)
    empty = Watched()
    assert turn_of(empty, [large] * 20) == 0
    assert empty.sides.count(2560) == 8  # of two looks, in four ways
    assert empty.sides.count(1280) == 48  # of a dozen
    near, detector = large.copy(), Watched()
    near[100:1300, 400:1424] = portrait
    assert turn_of(detector, [near]) == 0
    assert detector.sides == [1280]  # upright for sure: one small search
    small, detector = large.copy(), Watched()
    small[700:760, 1300:1351] = np.asarray(Image.fromarray(portrait).resize((51, 60)))
    turned_small = rotated(small, 180)
    assert turn_of(detector, [turned_small]) in (0, 180)
    assert 2560 in detector.sides  # too small for the small search: the whole picture is searched
    monkeypatch.setattr("mien.turn.LARGE_SIDE", 1600)
    largest = Watched()
    assert turn_of(largest, [large]) == 0
    assert largest.sides == [1280] * 4 + [1600] * 4  # nobody is looked for four times in 49 megapixels


def test_pictures_without_a_face_are_not_turned(tmp_path: Path) -> None:
    detector = mien.YuNet()
    assert turn_of(detector, [corners(320, 240)] * 3) == 0
    assert turn_of(detector, []) == 0


# --- moving pictures


def test_a_moving_webp_is_a_film(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((48, 64, 3), g, np.uint8)) for g in (10, 100, 200)]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=[120, 120, 400], lossless=True)
    with open_media(tmp_path / "a.webp") as opened:
        assert (opened.info.kind, opened.info.codec, opened.info.frames) == ("video", "webp", 3)
        frames = list(opened.frames())
        assert [f.time_s for f in frames] == pytest.approx([0, 0.12, 0.24])
        assert [int(f.rgb[5, 5, 0]) for f in frames] == [10, 100, 200]
        assert len(list(opened.frames())) == 3
    with open_media(gif(tmp_path / "a.gif", [10, 100, 200], 120)) as opened:
        assert [f.time_s for f in opened.frames()] == pytest.approx([0, 0.12, 0.24])
    data = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "cut.webp").write_bytes(data[: len(data) - 20])
    with pytest.raises(MediaError, match=r"^cut\.webp: "), open_media(tmp_path / "cut.webp") as opened:
        list(opened.frames())
