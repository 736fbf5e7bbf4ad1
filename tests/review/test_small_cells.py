"""What counts of answers tell, against every way in which people could have answered so."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import answers
from mien.study_report.answers import LEAST_TESTED, holm, questions
from mien.study_report.sample import DEFINITION
from mien.study_report.small_cells import hidden, merged, small, told
from mien.study_report.viewers import Viewer

OPTIONS = [{"id": v, "title": {"en": v}} for v in "abc"]
CELL = {"id": "cell", "title": "Cell", "by": "link", "values": [{"id": v, "title": v} for v in "xy"]}


def asked(kind: str, given: list[Any], groups: str = "", smallest: int = 3) -> dict[str, Any]:
    """The chart of one question."""
    question = {"id": "q", "kind": kind, "title": {"en": "?"}, "required": False} | (
        {"options": OPTIONS} if kind == "single" else {}
    )
    definition = Study.read(DEFINITION | {"before": [], "after": [question], "variables": [CELL]}).json()
    viewers = [
        Viewer(str(k), {}, answers={"q": one}, groups={"cell": group} if group != "." else {})
        for k, (one, group) in enumerate(itertools.zip_longest(given, groups, fillvalue="."))
    ]
    members = {"cell": {v: np.array([viewer.groups.get("cell") == v for viewer in viewers]) for v in "xy"}}
    (found,) = questions(definition, viewers, members, smallest)
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.integers(2, 5))
def test_no_small_count_follows_from_those_shown_and_their_sum(counts: list[int], smallest: int) -> None:
    gone = hidden(counts, smallest)
    assert all(gone[k] for k, count in enumerate(counts) if small(count, smallest))
    if not any(gone):
        return
    total = sum(count for count, away in zip(counts, gone, strict=True) if away)
    assert sum(gone) > 1 or sum(counts) < smallest  # then nothing is shown of the question at all
    assert total >= smallest or sum(counts) < smallest


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=3, max_size=9), st.integers(2, 4))
def test_steps_and_their_mean_leave_no_step_of_few(given: list[int], smallest: int) -> None:
    if len(given) < smallest:
        return
    chart = asked("scale5", given, smallest=smallest)
    shown = {tuple(int(end) for end in str(c["id"]).split("–")): c["n"] for c in chart["counts"]}
    assert sum(shown.values()) == len(given)
    assert not any(small(n, smallest) for n in shown.values())
    ways = []
    for way in itertools.combinations_with_replacement(range(1, 6), len(given)):
        fits = all(sum(ends[0] <= one <= ends[-1] for one in way) == n for ends, n in shown.items())
        same_mean = chart["mean"] is None or sum(way) == sum(given)
        if fits and same_mean:
            ways.append(Counter(way))
    assert ways
    for step in range(1, 6):
        assert not all(small(way[step], smallest) for way in ways)


def test_a_mean_that_would_tell_is_left_out() -> None:
    assert asked("scale5", [1] * 9 + [2])["mean"] is None  # only one can have said 2
    wide = asked("scale5", [1, 2, 2, 3, 3, 4, 4, 5, 5, 5])
    assert wide["mean"] == 3.4
    assert "median" not in wide
    exact = asked("scale5", [1] * 4 + [5] * 4)
    assert (exact["mean"], [c["n"] for c in exact["counts"]]) == (3, [4, 0, 0, 0, 4])
    assert told(merged([9, 1], 3), 1, 3)


def test_what_few_chose_is_not_shown_nor_what_would_tell_it() -> None:
    chart = asked("single", list("aaaaaabbbc"))
    assert [(c["id"], c["n"]) for c in chart["counts"]] == [("a", 6), ("b", None), ("c", None)]
    assert [c["n"] for c in asked("single", list("aaaabbbb"))["counts"]] == [4, 4, 0]


def test_a_group_cannot_be_taken_from_all() -> None:
    """a: 4 of x and 1 of y. All of a (5) less those of x would be the one of y."""
    chart = asked("single", list("aaaabbb" + "abbbccc"), "xxxxxxxyyyyyyy")
    assert [c["n"] for c in chart["counts"]] == [5, 6, 3]
    assert all("counts" not in of for of in chart["by_group"]["cell"].values())
    apart = asked("single", list("aaaabbb" + "aaabbbb"), "xxxxxxxyyyyyyy")
    assert [c["n"] for c in apart["by_group"]["cell"]["y"]["counts"]] == [3, 4, 0]


def test_texts_are_told_only_where_enough_wrote_the_same() -> None:
    chart = asked("short", ["Sweet", "sweet", " SWEET ", "secret of mine", "another"])
    assert (chart["texts"], chart["withheld"]) == (["sweet"], 2)
    assert "secret" not in str(chart)
    assert asked("long", ["one", "two"], smallest=1)["texts"] == ["one", "two"]


def test_numbers_have_no_column_of_few_and_no_median() -> None:
    chart = asked("number", [19, 20, 21, 22, 40, 41, 77])
    assert all(cell["n"] >= 3 for cell in chart["histogram"])
    assert sum(cell["n"] for cell in chart["histogram"]) == 7
    assert not {"median", "sd"} & set(chart)


# --- what was said beside what was shown


def beside(felt: list[int], shown: list[float]) -> list[dict[str, Any]]:
    definition = Study.read(DEFINITION).json()
    viewers = [Viewer(str(k), {}, answers={"felt": dict.fromkeys(FERPLUS, value)}) for k, value in enumerate(felt)]
    expressed = [dict.fromkeys((*FERPLUS, "valence"), value) for value in shown]
    rows: list[dict[str, Any]] = answers.agreement(definition, viewers, FERPLUS, expressed, 3, 500)["rows"]
    return rows


def test_of_four_people_there_is_no_link() -> None:
    for row in beside([4, 3, 2, 1], [0.1, 0.2, 0.3, 0.4]):
        assert (row["rho"], row["low"], row["high"], row["p"], row["ccc"]) == (None,) * 5
        assert row["says"] == f"too few to say: 4 of at least {LEAST_TESTED} viewers"


def test_a_link_is_that_of_scipy_and_survives_its_correction() -> None:
    random = np.random.default_rng(3)
    felt = random.integers(0, 5, 24).tolist()
    shown = [value / 8 + random.normal(0, 0.1) for value in felt]
    wanted = stats.spearmanr(felt, shown)
    for row in beside(felt, shown):
        assert abs(row["rho"] - wanted.statistic) < 1e-4
        assert row["p"] < 0.001
        assert abs(row["p_corrected"] - 8 * row["p"]) < 1e-3  # eight alike
        assert row["says"].endswith("link")
        assert not row["says"].startswith("not clear")
    noise = beside(felt, random.permutation(shown).tolist())
    assert all(row["says"] == "not clear from 24 viewers" for row in noise)


def test_a_link_that_its_correction_undoes_is_none() -> None:
    felt, shown = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 4], [3, 5, 4, 1, 7, 2, 6, 9, 8, 12, 7.5, 11]
    plain = stats.spearmanr(felt, shown).pvalue
    assert 0.01 < plain < 0.05
    assert all(row["p_corrected"] > 0.05 and row["says"] == "not clear from 12 viewers" for row in beside(felt, shown))


def test_holm_steps_down_and_leaves_out_what_was_not_tested() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]
    assert holm([0.6, 0.5]) == [1.0, 1.0]
