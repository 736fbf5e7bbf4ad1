"""The sample study: `mien demo --study`, as somebody who has just installed mien sees it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.analyze import Analyzer
from mien.media import open_media
from mien.study_report import sample, sample_film
from mien.study_report.sample import FILES, SCENES, STIMULUS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "sample"
    done = subprocess.run(
        [sys.executable, "-m", "mien", "demo", "--study", "--out", str(out)], capture_output=True, text=True, timeout=280
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out, done.stdout


def test_it_says_what_it_shows_and_where_it_is(told: tuple[Path, str]) -> None:
    out, text = told
    assert "sample study: Happiness appears most at" in text
    assert "“Joke: the hat”" in text
    assert sample.SIMULATED in text
    assert {path.name for path in out.iterdir()} == set(FILES)
    for name in FILES:
        assert str((out / name).resolve()) in text
        assert (out / name).stat().st_size > 300 or name == "funnel.csv"  # nobody opened a page, so it is its header alone


def test_every_report_says_that_it_is_simulated(told: tuple[Path, str]) -> None:
    out, _ = told
    assert json.loads((out / "review.json").read_text())["simulated"] == sample.SIMULATED
    assert sample.SIMULATED in (out / "review.html").read_text()
    pypdfium2 = pytest.importorskip("pypdfium2")
    pages = [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(out / "review.pdf")]
    assert pages
    assert all("simulated" in text.lower() for text in pages)


def test_what_was_planted_is_found(told: tuple[Path, str]) -> None:
    (film,) = json.loads((told[0] / "review.json").read_text())["stimuli"]
    found = {(m["signal"], m["direction"]): m["time_s"] for m in film["moments"] if m["time_s"] < 57}
    assert sample_film.JOKE_S[0] < found["happiness", "up"] < sample_film.JOKE_S[1] + 2
    assert sample_film.RAIN_S[0] < found["sadness", "up"] < sample_film.RAIN_S[1] + 2
    assert sample_film.BANG_S[0] < found["surprise", "up"] < sample_film.BANG_S[1] + 2
    assert all(moment["still"].startswith("data:image/jpeg") for moment in film["moments"])
    assert len(film["strip"]) > 30
    assert set(film["groups"]["cinema"]) == {"often", "rarely"}


def test_nobody_is_in_the_film(told: tuple[Path, str]) -> None:
    film = told[0] / "film.mp4"
    with open_media(film) as media:
        assert (media.info.width, media.info.height, media.info.has_audio) == (640, 360, False)
        assert media.info.duration_s == pytest.approx(sample_film.DURATION_S, abs=0.2)
    assert len(Analyzer().video(film, every=3.0).frame_rows) == 0


def test_older_files_are_replaced_and_others_stay(told: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "film", lambda path: Path(path.write_bytes((told[0] / "film.mp4").read_bytes()) and path))
    (tmp_path / "review.json").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    sample.write(tmp_path)
    assert json.loads((tmp_path / "review.json").read_text())["format"] == "mien-review 1"
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "mine.txt"}


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "mien", "demo", "--study", "--out", str(tmp_path / "file" / "x")],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr


def test_the_same_seed_gives_the_same_viewers() -> None:
    one, two = sample.viewers(), sample.viewers()
    assert len(one) == 10
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.timelines[STIMULUS].emotions, b.timelines[STIMULUS].emotions)
        assert dict(a.answers) == dict(b.answers)
    assert {v.name for v in one if v.finished_at is None} == {"9"}
    lost = {v.name: 1 - v.quality["with_face"] / v.quality["looks"] for v in one}
    assert {name for name, share in lost.items() if share > 0.04} == {"4", "7", "10"}


def test_it_says_nothing_that_was_not_planted(told: tuple[Path, str]) -> None:
    """Of all moments, changes and curves alike that are called more than chance, a scene is the reason."""
    review = json.loads((told[0] / "review.json").read_text(encoding="utf-8"))
    (film,) = review["stimuli"]
    assert film["moments"]
    for moment in film["moments"]:
        falls = moment["direction"] == "down"
        reasons = [s for s in SCENES if s.start_s - 2 <= moment["time_s"] <= s.end_s + 4]
        labels = {s.label for s in reasons} | {
            "valence" for s in reasons if falls == (s.label == "sadness") and s.label != "surprise"
        }
        assert moment["signal"] in labels, moment
    for marker, scene in zip(film["markers"], SCENES, strict=False):
        clear = {signal: effect["difference"] for signal, effect in marker["effects"].items() if effect["clear"]}
        assert clear.pop(scene.label) > 0
        assert clear.pop("neutral", -1.0) < 0
        assert (clear.pop("valence", -1.0 if scene.label == "sadness" else 1.0) > 0) == (scene.label != "sadness")
        assert clear == {}, marker["label"]
    # The happy end is the 30 % that are no moment beside 28 % of surprise: of fewer faces, and of an expression that is livelier.
    (end,) = [peak for peak in film["peaks"] if peak["signal"] == "happiness"]
    (bang,) = [moment for moment in film["moments"] if moment["signal"] == "surprise"]
    assert SCENES[3].start_s < end["time_s"] < SCENES[3].end_s + 4
    assert bang["threshold"] < bang["value"] < end["value"] < end["threshold"]
    planted = {scene.label for scene in SCENES} | {"neutral", "valence"}
    assert all(one["p"] > 0.05 for signal, one in film["synchrony"]["by_signal"].items() if signal not in planted)
    assert all(row["rho"] is None for row in review["agreement"]["rows"])  # nine have answered
