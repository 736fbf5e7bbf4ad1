"""Files that make ffmpeg's and Pillow's readers raise what they do not document: each is read, or one line says why not."""

import io
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import mien
from media_files import HEIGHT, WIDTH, corner_names, corners, encoded, film
from mien.errors import MediaError
from mien.media import VideoWriter, open_media, read_picture


def jpeg_with_exif(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    return encoded(Image.fromarray(corners()), "JPEG", exif=exif, quality=95, subsampling=0)


def test_exif_in_the_frames_of_an_mjpeg_film(tmp_path: Path) -> None:
    """Side data of type 31, which PyAV's enum lacks; the turn that it asks for is still made."""
    data = jpeg_with_exif()
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.codec_context.width, stream.codec_context.height, stream.codec_context.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for i in range(5):
            packet = av.Packet(data)
            packet.pts = packet.dts = i
            packet.time_base, packet.stream = Fraction(1, 25), stream
            out.mux(packet)
    frame = next(av.open(str(path)).decode(video=0))
    with pytest.raises(ValueError, match="31 is not a valid"):
        _ = frame.side_data
    with open_media(path) as opened:
        frames = list(opened.frames())
        assert (opened.info.width, opened.info.height) == (HEIGHT, WIDTH)
    assert len(frames) == 5
    assert corner_names(frames[0].rgb) == "BRWG"


def test_the_length_of_a_bare_stream_is_not_guessed_from_its_size(tmp_path: Path) -> None:
    film(tmp_path / "a.m1v", codec="mpeg1video", form="mpeg1video")
    with av.open(str(tmp_path / "a.m1v")) as plain:
        assert plain.duration < 100_000  # of a second of film
    with open_media(tmp_path / "a.m1v") as opened:
        assert opened.info.duration_s is None
        assert len(list(opened.frames())) == 25


def test_exif_in_a_moving_png(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    images = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), g, np.uint8)) for g in (10, 200)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=100, exif=exif)
    with open_media(tmp_path / "a.png") as opened:
        assert [int(f.rgb[5, 5, 0]) for f in opened.frames()] == [10, 200]


def test_a_gif_of_two_thousand_frames(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((16, 16, 3), 1 + i % 250, np.uint8)) for i in range(2000)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=20)
    with open_media(tmp_path / "a.gif") as opened:
        assert len(list(opened.frames())) == 2000


def y4m(path: Path, rate: str, frames: int = 5) -> Path:
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{rate} Ip A1:1 C420\n".encode()
    path.write_bytes(head + (b"FRAME\n" + bytes(WIDTH * HEIGHT * 3 // 2)) * frames)
    return path


@pytest.mark.parametrize("rate", ["1:1000000000", "1000000000:1", "99999999999:1", "1:2147483647", "0:0", "-25:1", "4294967296:1"])
def test_an_absurd_clock_is_not_believed(tmp_path: Path, rate: str) -> None:
    with open_media(y4m(tmp_path / "a.y4m", rate)) as opened:
        frames = list(opened.frames())
        assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(5)])
        assert opened.info.duration_s is None or opened.info.duration_s == pytest.approx(0.2)
        absurd = rate not in ("0:0", "-25:1", "4294967296:1")
        assert bool(opened.info.notes) is absurd
        assert not absurd or "is not believed" in opened.info.notes[0]
        with VideoWriter(tmp_path / "b.mp4", WIDTH, HEIGHT, fps_hint=opened.info.fps) as out:
            for frame in frames:
                out.write(frame.rgb, frame.time_s)


def test_one_timestamp_that_jumps_by_years(tmp_path: Path) -> None:
    times = [i / 25 for i in range(5)] + [1e6 + i / 25 for i in range(5)]
    with open_media(film(tmp_path / "a.mkv", times=times)) as opened:
        found = [f.time_s for f in opened.shown()]
    assert found == pytest.approx([i / 25 for i in range(10)], abs=2e-3)


def test_timestamps_that_lie_closer_than_a_film_can_tell(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times=[0, 0.000002, 0.04, 0.08], ticks=1_000_000)
    with open_media(path) as opened, VideoWriter(tmp_path / "b.mp4", WIDTH, HEIGHT) as out:
        for frame in opened.frames():
            out.write(frame.rgb, frame.time_s)


BYTES = b"talk \xff\xe9.mp4"


def test_a_film_whose_name_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + BYTES))
    film(tmp_path / "a.mp4", sound="aac").rename(path)
    with open_media(path) as opened:
        assert opened.info.name == "talk ��.mp4"
        assert len(list(opened.frames())) == len(list(opened.frames())) == 25
    target = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.mp4"))
    with VideoWriter(target, WIDTH, HEIGHT, sound_from=path) as out:
        out.write(corners(), 0.0)
        out.write(corners(), 0.5)
    with open_media(target) as opened:
        assert len(list(opened.frames())) == 2
        assert opened.info.has_audio
    path.write_bytes(b"plain words")
    with pytest.raises(MediaError, match=r"^talk ��\.mp4: is not a picture or film") as caught:
        open_media(path)
    str(caught.value).encode()


def test_a_picture_whose_name_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    path.write_bytes(encoded(Image.fromarray(corners()), "PNG"))
    assert corner_names(read_picture(path).rgb) == "RGBW"


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.pipe.TIMEOUT_S", 0.3)
    os.mkfifo(tmp_path / "p.mp4")
    with pytest.raises(MediaError, match=r"^p\.mp4: cannot be opened: nobody wrote to the pipe within 0\.3 s"):
        open_media(tmp_path / "p.mp4")


def test_a_film_through_a_pipe(tmp_path: Path) -> None:
    data = film(tmp_path / "a.ts", form="mpegts").read_bytes()
    os.mkfifo(tmp_path / "p.ts")

    def write() -> None:
        time.sleep(0.2)
        (tmp_path / "p.ts").write_bytes(data)

    writer = threading.Thread(target=write)
    writer.start()
    with open_media(tmp_path / "p.ts") as opened:
        assert not opened.plays_again
        assert len(list(opened.frames())) == 25
    writer.join(30)


def test_a_socket_is_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.mp4")
        with pytest.raises(MediaError, match=r"^s\.mp4: is neither a file nor a camera"):
            open_media("s.mp4")


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(MediaError, match="its name is too long for this disk; rename the file") as caught:
        open_media("x" * 5000 + ".mp4")
    assert len(str(caught.value)) < 250


class Failing:
    """A container whose streams raise what no documentation names."""

    def __init__(self, real: object, error: Exception) -> None:
        self.real, self.error = real, error

    def __getattr__(self, name: str) -> object:
        if name == "start_time":
            raise self.error
        return getattr(self.real, name)


@pytest.mark.parametrize(
    "error", [ValueError("99 is not a valid Type"), KeyError("x"), OverflowError("large"), RuntimeError("odd")]
)
def test_whatever_pyav_raises_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    path = film(tmp_path / "a.mp4", times=[0, 0.04])
    monkeypatch.setattr("mien.media.read.av_open", lambda *_, **__: Failing(av.open(str(path)), error))
    with pytest.raises(MediaError, match=r"^a\.mp4: cannot be read as a film: [^\n]+; export it again$"):
        open_media(path)


def test_pillows_warnings_stay_in(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A TIFF whose tags are cut, a PNG between Pillow's limit and ours: said in our line or not at all."""
    data = bytearray(encoded(Image.fromarray(corners()), "TIFF", description="x" * 200))
    (tmp_path / "a.tif").write_bytes(data.replace(b"x" * 200, b"x" * 100))
    with pytest.raises(MediaError):
        read_picture(tmp_path / "a.tif")
    buffer = io.BytesIO()
    Image.new("1", (9500, 9500)).save(buffer, "PNG")
    (tmp_path / "b.png").write_bytes(buffer.getvalue())
    assert read_picture(tmp_path / "b.png").rgb.shape == (9500, 9500, 3)
    assert not recwarn.list


def test_memory_is_limited_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(encoded(Image.new("1", (8000, 7000)), "PNG"))
    analyzer = mien.Analyzer()
    for call in (analyzer.picture, analyzer.video):
        with pytest.raises(MediaError, match=r"^b\.png: is 8000 × 7000 pixels, but at most 50 megapixels"):
            call(tmp_path / "b.png")
    assert len(analyzer.picture(tmp_path / "b.png", max_pixels=60_000_000)) == 0
