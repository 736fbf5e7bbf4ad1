"""The tables, read back by Python's own csv and compared with what they were made of."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import DataError, MediaError
from mien.labels import FERPLUS, valence
from mien.study.definition import Study
from mien.study_report import results, sample, tables
from mien.study_report.answers import questions
from mien.study_report.sample import DEFINITION, STIMULUS
from mien.study_report.viewers import Viewer

STUDY = Study.read(DEFINITION)


@pytest.fixture(scope="module")
def viewers() -> list[Viewer]:
    return sample.viewers()


@pytest.fixture(scope="module")
def review(viewers: list[Viewer]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "DRAWS", 50)
        patch.setattr(results, "SHIFTS", 40)
        return results.build(STUDY, viewers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, review: dict[str, Any], viewers: list[Viewer]) -> Path:
    place = tmp_path_factory.mktemp("tables")
    assert [path.name for path in tables.write(place, review, STUDY, viewers)] == list(tables.NAMES)
    return place


def read(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text
    assert text.endswith("\n")
    return list(csv.DictReader(text.splitlines()))


def test_long_has_a_row_for_each_viewer_and_time(folder: Path, viewers: list[Viewer]) -> None:
    rows = read(folder / "long.csv")
    assert len(rows) == 10 * 145
    assert {row["cinema"] for row in rows} == {"often", "rarely"}
    one = [row for row in rows if row["viewer"] == "4"]
    away = [row for row in one if row["seen"] == "0"]
    assert {row["happiness"] + row["expression"] + row["valence_corrected"] for row in away} == {""}
    assert 9 < len(away) < 16
    viewer = viewers[3]
    assert viewer.baseline is not None
    for row in one:
        if row["seen"] == "1":
            scores = np.array([float(row[label]) for label in FERPLUS])
            assert scores.sum() == pytest.approx(1, abs=1e-3)
            assert row["expression"] == FERPLUS[int(scores.argmax())]
            assert float(row["valence"]) == pytest.approx(float(valence(scores, FERPLUS)), abs=1e-4)
            change = [float(row[f"{label}_corrected"]) for label in FERPLUS]
            assert np.allclose(change, scores - viewer.baseline, atol=2e-5)
            wanted = float(row["valence"]) - float(valence(viewer.baseline, FERPLUS))
            assert float(row["valence_corrected"]) == pytest.approx(wanted, abs=2e-5)


def test_long_leaves_empty_what_is_not_known(tmp_path: Path, viewers: list[Viewer]) -> None:
    tables.long(tmp_path / "long.csv", STUDY, [replace(viewers[0], baseline=None, groups={}, name="R1-3", room=True)])
    row = read(tmp_path / "long.csv")[10]
    assert (row["viewer"], row["room"], row["cinema"], row["happiness_corrected"]) == ("R1-3", "1", "", "")
    assert float(row["happiness"]) >= 0
    tables.long(tmp_path / "none.csv", STUDY, [])
    assert read(tmp_path / "none.csv") == []


def test_wide_has_a_row_for_each_time(folder: Path, review: dict[str, Any], viewers: list[Viewer]) -> None:
    rows = read(folder / "wide.csv")
    part = review["stimuli"][0]
    assert [float(row["time_s"]) for row in rows] == part["times"]
    curve = part["curves"]["corrected"]["sadness"]["low"]
    assert [row["sadness_corrected_low"] for row in rows] == ["" if v is None else str(v) for v in curve]
    timeline = viewers[6].timelines[STIMULUS]
    got = [float(row["valence_7"]) for row in rows if row["valence_7"]]
    assert 120 < len(got) < 145
    assert np.mean(got) == pytest.approx(float(timeline.valence.mean()), abs=0.01)
    assert all(not row["valence_9"] for row in rows if float(row["time_s"]) > 61)  # who has left


def test_answers_and_viewers(folder: Path, viewers: list[Viewer]) -> None:
    rows = {row["viewer"]: row for row in read(folder / "answers.csv")}
    felt = viewers[1].answers["felt"]
    assert [rows["2"][f"felt_{label}"] for label in FERPLUS] == [str(felt[label]) for label in FERPLUS]
    assert rows["2"]["best"] == "|".join(viewers[1].answers["best"])
    assert rows["9"]["liking"] == ""
    people = {row["viewer"]: row for row in read(folder / "viewers.csv")}
    assert (people["9"]["finished"], people["9"]["quality"], rows["1"]["group_cinema"]) == ("0", "fair", "often")
    assert "group_cinema" not in people["1"]  # it is what was answered


def test_moments_are_those_of_the_review(folder: Path, review: dict[str, Any]) -> None:
    rows = read(folder / "moments.csv")
    wanted = review["stimuli"][0]["moments"]
    assert [(row["signal"], float(row["time_s"])) for row in rows] == [(m["signal"], m["time_s"]) for m in wanted]
    assert [float(row["measured"]) for row in rows] == [m["measured"] for m in wanted]
    assert [row["viewers"].split("|") for row in rows] == [m["viewers"] or [""] for m in wanted]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", '=HYPERLINK("http://x")'])
def test_no_answer_runs_in_a_spreadsheet(tmp_path: Path, text: str) -> None:
    tables.answers(tmp_path / "a.csv", STUDY, [Viewer("1", {}, answers={"word": text, "more": 'a "b", c\nd'})])
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_bytes().decode("utf-8"), newline=""))
    assert row["word"] == f"'{text}"
    assert row["more"] == 'a "b", c\nd'


def test_negative_numbers_stay_numbers(folder: Path) -> None:
    assert any(row["valence"].startswith("-") for row in read(folder / "long.csv"))
    assert any(row["valence_mean"].startswith("-") for row in read(folder / "wide.csv"))


def test_what_cannot_be_written_is_said(tmp_path: Path, review: dict[str, Any]) -> None:
    with pytest.raises(MediaError, match=r"moments\.csv: cannot be written"):
        tables.moments(tmp_path / "nowhere" / "moments.csv", review)
    with pytest.raises(ValueError, match="no table 'x'"):
        tables.write_one(tmp_path / "x", "x", review, STUDY, [])


LINES = [{"id": "comedy", "title": {"en": "comedies"}}, {"id": "drama", "title": {"en": "dramas"}}]
CHOICES = [{"id": "a", "title": {"en": "not at all"}}, {"id": "b", "title": {"en": "a lot"}}]
MATRIX = {"id": "q1", "kind": "matrix", "title": {"en": "Liked?"}, "rows": LINES, "options": CHOICES, "column": "likes"}
NAMED = Study.read({"before": [MATRIX, {"id": "q2", "kind": "number", "column": "visits"}, {"id": "q3", "kind": "short"}]})


def test_columns_are_called_as_the_study_says_and_a_matrix_has_one_for_each_line(tmp_path: Path) -> None:
    answered = Viewer("1", {}, answers={"q1": NAMED.before[0].check({"drama": "b", "comedy": "a"}), "q2": 3.0})
    tables.answers(tmp_path / "answers.csv", NAMED, [answered, Viewer("2", {})])
    first, second = read(tmp_path / "answers.csv")
    assert first == {"viewer": "1", "likes_comedy": "a", "likes_drama": "b", "visits": "3.0", "q3": ""}
    assert set(second.values()) == {"2", ""}


def test_each_line_of_a_matrix_is_a_chart_that_tells_of_no_few() -> None:
    given = [{"comedy": "a", "drama": "a" if k < 4 else "b"} for k in range(12)]
    people = [Viewer(str(k), {}, answers={"q1": one}) for k, one in enumerate(given)]
    (chart, *_) = questions(NAMED.json(), people, {}, 5)
    assert chart["n"] == 12
    comedy, drama = chart["rows"]
    assert [(one["title"], one["n"], one["share"]) for one in comedy["counts"]] == [("not at all", 12, 1.0), ("a lot", 0, 0.0)]
    assert (drama["title"], [one["n"] for one in drama["counts"]]) == ("dramas", [None, None])  # four said so, and eight do


def test_what_does_not_fit_the_lines_of_a_matrix_is_refused() -> None:
    of_both = {"comedy": "a", "drama": "a"}
    for wrong in ({"comedy": "a"}, of_both | {"drama": "z"}, of_both | {"drama": ["a"]}, of_both | {"x": "a"}, "a"):
        with pytest.raises(DataError, match="for each of comedy, drama"):
            NAMED.before[0].check(wrong)


def test_no_two_columns_have_one_name(tmp_path: Path) -> None:
    plain = {"kind": "short", "title": {"en": "?"}}
    study = Study.read({"before": [plain | {"id": "viewer"}, MATRIX, plain | {"id": "q2", "column": "likes_drama"}]})
    answered = Viewer("1", {}, answers={"viewer": "me", "q1": {"comedy": "a", "drama": "b"}, "q2": "so"})
    tables.answers(tmp_path / "answers.csv", study, [answered])
    (row,) = read(tmp_path / "answers.csv")
    assert row == {"viewer": "1", "viewer_": "me", "likes_comedy": "a", "likes_drama": "b", "likes_drama_": "so"}
