"""One film in several ranges of its time: to the last bit what one process gives, wherever the seams lie."""

import functools
import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from fakes import COLOURS, FakeDetector, FakeExpressions, FakeOptions
from media_files import film
from mien import cluster, time_ranges
from mien.analyze import Analyzer, Recorder
from mien.cli import main
from mien.cluster import AnalysisOptions, analyze_file
from mien.episodes import find_episodes
from mien.media import TimeRange, open_media
from mien.report import Stills
from mien.time_ranges import Joined, divided
from mien.turn import upright
from mien.types import Timeline

COLUMNS = ("frames", "times", "frame_rows", "tracks", "boxes", "face_scores", "emotions", "smoothed", "reliability", "flags")


class Here:
    """What runs in other processes, run here; `leads` are those that it took."""

    def submit(self, run: Any, *given: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(run(*given))
        except Exception as error:
            future.set_exception(error)
        return future


def place(seed: int) -> np.ndarray:
    """A shot without anybody: grey blobs, others for each seed."""
    few = np.random.default_rng(seed).integers(40, 220, (6, 8, 1), np.uint8).repeat(3, axis=2)
    return np.asarray(cv2.resize(few, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def story() -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, picture): people who walk and change, cuts, five seconds of black, pictures that are held, 24 frames a second."""
    time_s = 0.0
    for shot, (length, people) in enumerate([(3.3, "a"), (2.2, "ha"), (5.0, ""), (1.9, "s"), (0, "held"), (6.4, "as"), (2.0, "h")]):
        if people == "held":
            for k in range(3):
                rgb = place(50 + k)
                rgb[40:80, 30 + 20 * k : 70 + 20 * k] = COLOURS["happiness"]
                yield time_s, rgb
                time_s += 2.6
            continue
        for i in range(round(24 * length)):
            rgb = place(shot) if people else np.zeros((120, 160, 3), np.uint8)
            for k, who in enumerate(people):
                x, y = round(20 + 60 * k + 15 * math.sin(i / 9)), round(30 + 20 * math.cos(i / 20))
                colour = np.array(COLOURS[{"a": "anger", "h": "happiness", "s": "sadness"}[who]]) * (0.8 + 0.2 * math.cos(i / 5))
                rgb[y : y + 40, x : x + 40] = colour
            yield time_s, rgb
            time_s += 1 / 24


def story_film(path: Path, **options: str) -> Path:
    times, pictures = zip(*story(), strict=True)
    settings = {"preset": "ultrafast", "crf": "23", "g": "40", "bf": "2"} | options
    return film(path, times=times, pictures=lambda i: pictures[i], size=(160, 120), rate=24, ticks=24_000, codec_options=settings)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story_film(tmp_path_factory.mktemp("ranges") / "story.mp4")


@functools.cache
def whole(path: Path, options: AnalysisOptions) -> Timeline:
    return options.analyzer().video(path, options.every)


def joined(
    path: Path, options: Any, seams: list[float], stills: Stills | None = None, *, whole_from_s: float | None = None
) -> Timeline:
    """The ranges between these seams; `whole_from_s` is where they are to be given up, None for nowhere."""
    analyzer = options.analyzer()
    with upright(path, analyzer.detector) as media:
        spans = list(itertools.pairwise([0.0, *seams, math.inf]))
        recorder = Recorder(media.info, analyzer.labels, analyzer.settings(options.every))
        ranges = Joined(media, path, options, spans, stills)
        for result in ranges.results(analyzer, Here(), 2):  # type: ignore[arg-type]
            recorder.add(result)
    assert ranges.whole_from_s == whole_from_s
    return recorder.timeline()


def check_same(one: Timeline, other: Timeline) -> None:
    for name in COLUMNS:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "reliability"), name


@pytest.mark.parametrize("every", [None, 0.5, 3.0])
@pytest.mark.parametrize("seams", [[2.0, 4.0, 9.0, 11.0, 13.0, 15.0, 17.0, 21.0, 25.0], [6.0, 10.0, 12.0, 20.0, 40.0]])
def test_ranges_give_what_one_process_gives(told: Path, every: float | None, seams: list[float]) -> None:
    options = FakeOptions(every=every)
    one = whole(told, options)
    assert len(one.track_ids) > (2 if every == 3 else 4)
    check_same(one, joined(told, options, seams))


@pytest.mark.parametrize("name", ["open.mkv", "late.mov"])
def test_other_containers_and_open_groups(tmp_path: Path, name: str) -> None:
    path = story_film(tmp_path / name, **{"x264-params": "open-gop=1:keyint=50:bframes=3"})
    check_same(whole(path, FakeOptions()), joined(path, FakeOptions(), [3.0, 8.0, 14.0, 18.0, 22.0]))


def test_what_cannot_be_jumped_in_is_gone_through(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", times=[i / 25 for i in range(200)], codec="mpeg4")
    with open_media(path) as media:
        assert not media.can_jump
    check_same(whole(path, FakeOptions()), joined(path, FakeOptions(), [3.0, 6.0], whole_from_s=3.0))


def test_a_range_that_saw_another_frame_is_not_believed(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = time_ranges.look

    def wrong(part: time_ranges.Range) -> time_ranges.Looks:
        looks = before(part)
        if part.start_s == 9.0:
            looks.at_start = looks.at_start and (looks.at_start[0], "another")
        return looks

    monkeypatch.setattr(time_ranges, "look", wrong)
    stills = Stills()
    check_same(whole(told, FakeOptions()), joined(told, FakeOptions(), [5.0, 9.0, 15.0], stills, whole_from_s=9.0))
    assert len(stills) > 0


def test_damage_ends_it_where_it_ends_one_process(told: Path, tmp_path: Path) -> None:
    with av.open(str(told)) as source:
        packet = [p for p in source.demux(video=0) if p.pts is not None][300]
        position, size = packet.pos, packet.size
    content = bytearray(told.read_bytes())
    content[position : position + size] = bytes(size)
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    one = analyze_file(path, tmp_path / "one", FakeOptions(annotated=False))
    assert one.error is not None
    recorder: list[Any] = []
    with pytest.raises(Exception, match="cannot decode after") as caught, open_media(path) as media:
        spans = list(itertools.pairwise([0.0, 4.0, 10.0, 18.0, math.inf]))
        for result in Joined(media, path, FakeOptions(), spans, None).results(FakeOptions().analyzer(), Here(), 1):  # type: ignore[arg-type]
            recorder.append(result)
    assert str(caught.value) == one.error
    assert one.summary is not None
    assert len(recorder) == one.summary["sampled_frames"]


def test_a_film_cut_off_says_so(told: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    with av.open(str(told)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None:
                packet.stream = stream
                out.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(Exception, match="after") as alone:
        whole(path, FakeOptions())
    with pytest.raises(Exception, match="after") as together:
        joined(path, FakeOptions(), [4.0, 12.0])
    assert str(together.value) == str(alone.value)


def test_an_interruption_does_not_wait_for_a_range(told: Path) -> None:
    class Never:
        def submit(self, run: Any, *given: Any) -> "Future[Any]":
            return Future()

    asked = iter([False, True])
    with open_media(told) as media:
        whole_film = Joined(media, told, FakeOptions(), [(0.0, 9.0), (9.0, math.inf)], None)
        found = whole_film.results(FakeOptions().analyzer(), Never(), 2, lambda: next(asked))  # type: ignore[arg-type]
        assert list(found) == []
    assert next(asked, None) is None


def test_stills_have_the_tracks_of_the_whole_film(told: Path) -> None:
    stills = Stills()
    timeline = joined(told, FakeOptions(), [4.0, 12.0, 18.0], stills)
    poster = stills.poster
    assert poster is not None
    for track in timeline:
        still = stills.of_track(track.id)
        assert still is not None
        assert still.time_s in track.times
        assert (poster.time_s in track.times) == (track.id in poster.tracks)
    episodes = find_episodes(timeline)
    assert len(episodes) > 4
    assert all(stills.of_episode(episode) is not None for episode in episodes if episode.duration_s > 0.5)


@pytest.mark.parametrize("every", [None, 0.25])
def test_a_time_range_gives_the_frames_of_its_time(told: Path, every: float | None) -> None:
    with open_media(told) as media:
        frames = [(f.index, f.time_s, f.rgb.copy()) for f in media.shown(every)]
    for start_s, end_s in ((0.0, 4.0), (5.0, 9.0), (14.0, 18.0), (20.0, math.inf), (90.0, math.inf)):
        with TimeRange.open(told, start_s, end_s, 8.0) as part:
            got = [f for f in part.shown(every) if f.time_s >= start_s]
        wanted = [f for f in frames if start_s <= f[1] < end_s]
        assert [f.time_s for f in got] == [f[1] for f in wanted]
        assert all(np.array_equal(f.rgb, w[2]) for f, w in zip(got, wanted, strict=True))
        if got:
            shift = wanted[0][0] - got[0].index
            assert [f.index + shift for f in got] == [f[0] for f in wanted]


def test_short_films_are_not_divided(told: Path) -> None:
    with open_media(told) as media:
        assert divided(media, 8) == [(0.0, math.inf)]


def test_long_films_are_divided_at_whole_seconds(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_ranges, "LEAST_S", 5.0)
    monkeypatch.setattr(time_ranges, "MOST_S", 10.0)
    with open_media(told) as media:
        length = media.info.duration_s
        assert length is not None
        assert 28 < length < 30
        assert divided(media, 1) == [(0.0, math.inf)]
        assert divided(media, 2) == [(0.0, 7.0), (7.0, 14.0), (14.0, 21.0), (21.0, math.inf)]
        assert len(divided(media, 64)) == 5


@pytest.mark.process
def test_a_film_by_two_processes(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_ranges, "LEAST_S", 10.0)
    options = FakeOptions(annotated=False)
    one = analyze_file(told, tmp_path / "one", options)
    two = analyze_file(told, tmp_path / "two", options, jobs=2)
    assert one.error is None
    assert two.error is None
    for name in ("faces.csv", "timeline.csv", "episodes.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert two.summary is not None
    assert one.summary is not None
    assert two.summary | {"speed": None} == one.summary | {"speed": None}


@pytest.mark.more
def test_real_films_in_ranges(clips: Path) -> None:
    options = AnalysisOptions(annotated=False)
    path = clips / "sad_to_happy.mp4"
    check_same(whole(path, options), joined(path, options, [12.0]))


def test_jobs_of_one_film_come_from_the_command_line(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(media: Any, jobs: int) -> list[tuple[float, float]]:
        asked.append(jobs)
        return [(0.0, math.inf)]

    monkeypatch.setattr(cluster, "divided", noted)
    monkeypatch.setattr(AnalysisOptions, "analyzer", lambda self: Analyzer(FakeExpressions(), detector=FakeDetector()))
    arguments = ["analyze", str(told), "--out", str(tmp_path / "o"), "--every", "5", "--jobs", "3"]
    assert main(arguments) == 0
    assert asked == []
    assert main([*arguments, "--no-video"]) == 0
    assert asked == [3]
