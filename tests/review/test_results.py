"""The review of simulated viewers whose truth is known, and that it never tells of few."""

import csv
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mien import __version__, audience
from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import results, sample, tables
from mien.study_report.results import build
from mien.study_report.sample import AT, DEFINITION, STIMULUS, Scene, simulate, timeline_of
from mien.study_report.viewers import Viewer
from review.test_small_groups import told

HALF = [{"cinema": ("often", "rarely")[n % 2]} for n in range(10)]
SIGNALS = {*FERPLUS, "valence"}


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DRAWS", 60)
    monkeypatch.setattr(results, "SHIFTS", 40)


def study(**changes: Any) -> Study:
    """The sample's study with other fields."""
    return Study.read(DEFINITION | {"smallest_group": 5} | changes)


def people(groups: list[dict[str, str]] = HALF, **more: Any) -> list[Viewer]:
    """Simulated viewers of 72 s with one laugh from 20 to 28 s, all of whom finished."""
    scenes = {STIMULUS: [Scene("happiness", 20, 28, 4.0)]}
    return simulate({STIMULUS: 72.0}, scenes, groups, seed=2, **more)


def film(review: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = review["stimuli"][0]
    return found


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, Any], list[Viewer]]:
    """The sample, with all draws."""
    viewers = sample.viewers()
    return build(Study.read(DEFINITION), viewers, at=AT, simulated=sample.SIMULATED), viewers


# --- what it holds


def test_it_is_plain_json_and_says_what_it_is(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    review, _ = whole
    assert json.loads(json.dumps(review, allow_nan=False)) == review
    assert (review["format"], review["simulated"], review["hidden"]) == ("mien-review 1", sample.SIMULATED, None)
    assert "Apparent expression" in review["caveat"]
    assert "2024/1689" in review["law"]
    assert review["counts"]["measured"] == review["counts"]["shown"] == 10
    assert (review["counts"]["started"], review["counts"]["finished"], review["counts"]["left"]) == (10, 9, 1)
    text = " ".join(review["methods"]["text"])
    for words in ("standard deviation of 1 s", "bootstrap", "Baseline-corrected", "how sure the program is", "fewer than 3"):
        assert words in text
    for words in (
        "SIMULATED, NOT MEASURED",
        "10 viewers",
        "2 times a second",
        f"mien {__version__}",
        "n = 10",
        "% of 1,",
        "1,000 draws",
    ):
        assert words in review["methods"]["paragraph"]


def test_the_planted_moments_stand_out_where_they_are(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    found = {(m["signal"], m["direction"]): m["time_s"] for m in film(whole[0])["moments"] if m["time_s"] < 57}
    assert 16 < found["happiness", "up"] < 25
    assert 34 < found["sadness", "up"] < 48
    assert 54 < found["surprise", "up"] < 58
    assert 34 < found["valence", "down"] < 48
    assert {signal for signal, _ in found} <= {"happiness", "sadness", "surprise", "valence", "neutral"}
    assert film(whole[0])["synchrony"]["p"] < 0.01


def test_curves_are_the_mean_of_those_seen(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    review, viewers = whole
    part = film(review)
    assert set(part["curves"]["raw"]) == set(part["curves"]["corrected"]) == SIGNALS
    seen = audience.align([v.timelines[STIMULUS] for v in viewers], step_s=0.5, end_s=72.0)
    looked = seen.looked.sum(axis=0)
    assert part["n"] == [int(n) if many >= 3 else None for n, many in zip(seen.seen.sum(axis=0), looked, strict=True)]
    with np.errstate(invalid="ignore"):
        wanted = seen.emotions[:, :, 1].sum(axis=0) / seen.seen.sum(axis=0)
    got = np.array([np.nan if v is None else v for v in part["curves"]["raw"]["happiness"]["mean"]])
    known = ~np.isnan(got)
    assert known.sum() > 130
    assert np.allclose(got[known], wanted[known], atol=6e-5)
    rest = np.mean([v.baseline for v in viewers], axis=0)
    everybody = np.array(part["n"]) == 10
    change = np.array([np.nan if v is None else v for v in part["curves"]["corrected"]["happiness"]["mean"]])
    assert np.allclose((got - change)[everybody], rest[1], atol=2e-4)
    for curve in part["curves"]["raw"].values():
        rows = zip(curve["low"], curve["mean"], curve["high"], strict=True)
        assert all(low <= mean <= high for low, mean, high in rows if mean is not None)


def spot(scores: dict[str, float]) -> Viewer:
    """A viewer of 6 s, read twice a second: neutral, but happiness as given at each time."""
    times = np.arange(0, 6, 0.5)
    joy = np.array([scores.get(f"{t:g}", 0.004) for t in times])
    rows = np.zeros((len(times), len(FERPLUS)))
    rows[:, 0], rows[:, 1] = 1 - joy, joy
    return Viewer("", {STIMULUS: timeline_of(times, rows, np.ones(len(times), bool), STIMULUS, 0.5)}, quality={"finished": True})


def test_curves_and_tables_of_a_short_spot_are_as_measured(tmp_path: Path) -> None:
    """Three viewers at .004, .043, .004 of whom the smoothed page once said 43 % at its very beginning."""
    later = {"1": 0.9, "1.5": 0.9, "2": 0.9}
    viewers = [replace(spot(later | {"0": first}), name=str(k)) for k, first in enumerate((0.004, 0.043, 0.004), 1)]
    of = study(stimuli=[DEFINITION["stimuli"][0] | {"duration_s": 6.0}], markers=[], smallest_group=3, curve_sigma_s=2)
    review = build(of, viewers)
    part = film(review)
    assert part["curves"]["raw"]["happiness"]["mean"][:5] == [0.017, 0.004, 0.9, 0.9, 0.9]
    assert part["sigma_s"] == 0  # a tenth of a second is less than a look
    assert "Nothing is smoothed in the drawings, either." in " ".join(review["methods"]["text"])
    tables.wide(tmp_path / "wide.csv", review, of, viewers)
    with open(tmp_path / "wide.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["happiness_mean"] for row in rows[:3]] == ["0.017", "0.004", "0.9"]


def test_the_drawings_smoothing_follows_the_length_of_the_film() -> None:
    for seconds, sigma_s in ((30.0, 0.5), (72.0, 1.2), (600.0, 2.0)):
        viewers = simulate({STIMULUS: seconds}, {}, HALF, seed=2)
        of = study(stimuli=[DEFINITION["stimuli"][0] | {"duration_s": seconds}], markers=[], curve_sigma_s=2)
        assert film(build(of, viewers))["sigma_s"] == sigma_s


def test_steps_in_who_is_there_are_told() -> None:
    left = people(left_s=dict.fromkeys(range(1, 5), 60.0))
    (step,) = film(build(study(), left))["steps"]
    assert (step["before"], step["after"]) == (10, 6)
    assert step["time_s"] == pytest.approx(60, abs=0.6)
    assert film(build(study(), people()))["steps"] == []


def test_the_marker_before_the_joke_tells_the_laugh(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    joke, rain, bang = film(whole[0])["markers"]
    assert [m["label"] for m in (joke, rain, bang)] == ["Joke: the hat", "Rain", "Bang"]
    assert joke["effects"]["happiness"]["difference"] > 0.15
    assert joke["effects"]["happiness"]["p"] < 0.05
    assert rain["effects"]["sadness"]["low"] > 0
    assert joke["effects"]["disgust"]["low"] < 0.02


def test_a_long_film_has_as_many_points_as_can_be_drawn() -> None:
    viewers = simulate({STIMULUS: 5400.0}, {}, HALF, every_s=1.0, seed=1)
    film_of = DEFINITION["stimuli"][0] | {"duration_s": 5400.0}
    part = film(build(study(stimuli=[film_of], markers=[], every_s=1.0), viewers))
    assert 1000 < len(part["times"]) <= 1200
    assert part["times"][-1] == pytest.approx(5400, abs=5)
    groups = part["groups"]["cinema"]
    assert all(400 < len(of["times"]) <= 600 for of in groups.values())
    assert all(len(of["raw"]["valence"]["mean"]) == len(of["times"]) for of in groups.values())


def test_two_groups_are_compared_where_both_are_shown(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    part = film(whole[0])
    groups, found = part["groups"]["cinema"], part["differences"]["cinema"]
    assert found["groups"] == ["often", "rarely"]  # as in the definition
    for kind in ("raw", "corrected"):
        assert set(found[kind]) == SIGNALS
        for signal, one in found[kind].items():
            means = np.array([groups[value][kind][signal]["mean"] for value in found["groups"]], float)  # NaN where not shown
            known = np.isfinite(means).all(axis=0)
            cuts = np.searchsorted(found["times"], [step["time_s"] for step in part["steps"]]).tolist()
            wanted = audience.smooth(np.where(known, means[0] - means[1], 0), known, part["sigma_s"] / 0.5, cuts)
            for gap, low, high, both, want in zip(one["difference"], one["low"], one["high"], known, wanted, strict=True):
                assert (gap is None) == (low is None) == (high is None)
                if not both:
                    assert gap is None
                elif gap is not None:
                    assert gap == pytest.approx(want, abs=2e-4)
                    assert low < 0 < high


def test_what_is_planted_in_one_group_stands_out_and_nothing_else() -> None:
    scenes = {STIMULUS: [Scene("happiness", 20, 28, 4.0, 1.0, ("cinema", "often", 3.0))]}
    viewers = simulate({STIMULUS: 72.0}, scenes, HALF * 2, seed=2)
    found = film(build(study(), viewers))["differences"]["cinema"]
    gap = found["raw"]["happiness"]
    outside = [t for t, d, high in zip(found["times"], gap["difference"], gap["high"], strict=True) if d is not None and d > high]
    assert outside
    assert 18 < min(outside) <= max(outside) < 32
    assert gap["p"] < 0.05
    alike = film(build(study(), people(HALF * 2)))["differences"]["cinema"]["raw"]["happiness"]
    assert alike["p"] > 0.05


def test_three_groups_are_not_compared_nor_one_that_is_too_small() -> None:
    three = study(variables=[{"id": "cell", "title": "Cell", "values": [{"id": v, "title": v} for v in "abc"]}])
    viewers = people([{"cell": "abc"[n % 3]} for n in range(18)])
    part = film(build(three, viewers))
    assert len(part["groups"]["cell"]) == 3
    assert part["differences"] == {}
    few = film(build(study(), people([{"cinema": "often"}] * 8 + [{"cinema": "rarely"}] * 2)))
    assert few["differences"] == {}


def test_answers_become_charts(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    review, viewers = whole
    by_id = {question["id"]: question for question in review["questions"]}
    assert by_id["cinema"]["counts"][0] | {"title": ""} == {"id": "often", "title": "", "n": 5, "share": 0.5}
    assert by_id["cinema"]["by_group"] == {}  # it is the groups
    likings = [v.answers["liking"] for v in viewers if "liking" in v.answers]
    assert by_id["liking"]["mean"] == round(float(np.mean(likings)), 1)  # some steps are of few, so only this is told
    assert sum(c["n"] for c in by_id["liking"]["counts"]) == by_id["liking"]["n"] == 9
    assert set(by_id["liking"]["by_group"]["cinema"]) == {"often", "rarely"}
    assert sum(cell["n"] for cell in by_id["age"]["histogram"]) == 10
    assert by_id["felt"]["emotions"]["happiness"]["mean"] > by_id["felt"]["emotions"]["disgust"]["mean"]
    assert (by_id["word"]["texts"], by_id["word"]["withheld"]) == ([], 9)  # no two gave the same word
    assert by_id["word"]["by_group"] == {}


def test_expression_stands_beside_what_people_said(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    agreement = whole[0]["agreement"]
    assert agreement["text"].startswith("Expression is not feeling.")
    assert [row["label"] for row in agreement["rows"]] == list(FERPLUS)
    # Nine have answered: no verdict.
    assert all((row["n"], row["rho"], row["p"]) == (9, None, None) for row in agreement["rows"])
    assert agreement["liking"]["says"] == "too few to say: 9 of at least 10 viewers"


def test_the_table_of_viewers_says_how_well_each_was_seen() -> None:
    away = {2: ((0.0, 12.0),), 3: ((0.0, 60.0),)}
    rows = build(study(), people(away=away, left_s={4: 30.0}))["viewers"]
    quality = {row["name"]: (row["quality"], row["why"]) for row in rows}
    assert quality["1"] == ("good", "")
    assert quality["2"][0] == "fair"
    assert "only 1" in quality["3"][1]
    assert quality["3"][0] == "poor"
    assert quality["4"] == ("fair", "Did not watch to the end.")
    assert [row["finished"] for row in rows[:4]] == [True, True, True, False]
    assert [(row["others_share"], row["gone_on"]) for row in rows[:2]] == [(0, 0), (0, 0)]
    nobody = build(study(), [Viewer("1", {})])["viewers"][0]
    assert (nobody["quality"], nobody["why"], nobody["face_share"]) == ("none", "Never watched.", None)


@pytest.mark.parametrize(("share", "quality"), [(1.0, "good"), (0.7, "fair"), (0.3, "poor")])
def test_a_viewer_whose_face_is_found_but_cannot_be_read_is_not_called_good(share: float, quality: str) -> None:
    first, *rest = people()
    read = replace(first, quality={**first.quality, "read": round(share * first.quality["looks"])})
    review = build(study(), [read, *rest])
    row = review["viewers"][0]
    assert row["quality"] == quality
    assert (f"could be read in only {share:.0%}" in row["why"]) == (quality == "poor")
    assert (row["why"] == "") == (quality == "good")


@pytest.mark.parametrize(("share", "quality"), [(0.1, "good"), (0.25, "fair")])
def test_the_table_of_viewers_says_who_else_was_in_view(share: float, quality: str) -> None:
    first, *rest = people()
    looks = first.quality["looks"]
    seen = replace(first, quality={**first.quality, "with_others": round(share * looks), "gone_on": 3})
    row = build(study(), [seen, *rest])["viewers"][0]
    assert (row["quality"], row["gone_on"]) == (quality, 3)
    assert row["others_share"] == pytest.approx(share, abs=0.5 / looks)
    assert row["why"] == ("" if quality == "good" else "Somebody else was in view in 25% of the looks.")


def test_viewers_without_a_rest_face_are_measured_against_the_others() -> None:
    viewers = people()
    some = [replace(v, baseline=None) if v.name in ("1", "2") else v for v in viewers]
    review = build(study(), some)
    rest = np.mean([v.baseline for v in some if v.baseline is not None], axis=0)
    everybody = np.mean([*(v.baseline for v in some if v.baseline is not None), rest, rest], axis=0)
    curves = film(review)["curves"]
    t = film(review)["n"].index(10)
    change = curves["raw"]["neutral"]["mean"][t] - curves["corrected"]["neutral"]["mean"][t]
    assert change == pytest.approx(everybody[0], abs=2e-4)
    assert any("8 of 10 viewers have a rest face" in text for text in review["methods"]["text"])
    most = [replace(v, baseline=None) if v.name != "1" else v for v in viewers]
    review = build(study(), most)
    assert film(review)["curves"]["corrected"] is None
    assert any("only 1 of 10" in text for text in review["methods"]["text"])


def test_rooms_count_as_viewers() -> None:
    viewers = people()
    rooms = [replace(v, name=f"R1-{v.name}", room=True, baseline=None, answers={}, groups={}) for v in people()]
    review = build(study(), [*viewers, *rooms[:7]])
    assert (review["counts"]["measured"], review["counts"]["started"]) == (17, 10)
    assert (review["counts"]["agreed"], review["counts"]["rooms"]) == (10, 1)
    assert max(n for n in film(review)["n"] if n is not None) == 17


def test_a_date_leaves_out_who_came_later() -> None:
    viewers = people()
    until = AT + timedelta(minutes=7 * 8 + 6)  # the eighth has finished by then, the ninth not
    review = build(study(), viewers, until=until)
    assert [row["name"] for row in review["viewers"]] == [str(n) for n in range(1, 9)]
    assert review["until"] == "2026-03-14T19:32:00Z"
    assert review["counts"]["measured"] == 8


# --- what is a change, a moment, a difference


def test_a_change_of_few_points_is_no_verdict() -> None:
    """Disgust from 3 to 2 % with p = .002."""
    chance = {s: {"p": 0.9, "n": 12.0, "low": -0.1, "high": 0.1} for s in SIGNALS}
    found = results.corrected_markers([{"effects": chance | {"disgust": {"p": 0.002, "n": 12.0, "low": -0.018, "high": -0.004}}}])
    effects = found[0]["effects"]
    assert effects["disgust"]["p_corrected"] == pytest.approx(multipletests([0.002] + [0.9] * 7, method="holm")[1][0], abs=1e-4)
    assert (effects["disgust"]["clear"], effects["disgust"]["says"]) == (False, "appears to fall by 2 points at most")
    assert (effects["anger"]["clear"], effects["anger"]["says"]) == (False, "no clear change in 12 viewers")


def test_changes_are_told_by_both_ends_of_their_interval(whole: tuple[dict[str, Any], list[Viewer]]) -> None:
    markers = film(whole[0])["markers"]
    joke = markers[0]["effects"]
    happiness = joke["happiness"]
    size = f"{round(happiness['low'] * 100)} to {round(happiness['high'] * 100)} points"
    assert happiness["says"] == f"appears to rise by {size}"
    assert joke["contempt"]["clear"] is False
    for marker in markers:
        wanted = multipletests([marker["effects"][s]["p"] for s in FERPLUS], method="holm")[1]
        assert [marker["effects"][s]["p_corrected"] for s in FERPLUS] == pytest.approx(wanted, abs=5e-4)
        assert marker["effects"]["valence"]["p_corrected"] == marker["effects"]["valence"]["p"]


def test_of_nine_there_are_curves_and_no_verdict() -> None:
    review = build(study(smallest_group=3), people()[:9])
    part = film(review)
    assert part["curves"]["raw"]["happiness"]["mean"][50] > 0.1
    assert (part["moments"], part["peaks"], part["tested"]) == ([], [], False)
    assert review["headline"] == "What the faces of 9 viewers appeared to show is drawn; moments are named from 10 viewers on."
    effect = part["markers"][0]["effects"]["happiness"]
    assert (effect["low"], effect["high"], effect["p"], effect["p_corrected"]) == (None, None, None, None)
    assert effect["says"] == "too few to say: 9 of at least 10 viewers"
    gap = part["differences"]["cinema"]["raw"]["happiness"]
    assert (gap["p"], gap["p_corrected"], gap["overall"], set(gap["low"])) == (None, None, None, {None})


def test_groups_over_the_whole_film_are_welchs() -> None:
    viewers = people(HALF * 2)
    found = film(build(study(smallest_group=3), viewers))["differences"]["cinema"]["raw"]
    grid = audience.align([v.timelines[STIMULUS] for v in viewers], step_s=0.5, end_s=72.0)
    joy = [row[seen].mean() for row, seen in zip(grid.signal("happiness"), grid.seen, strict=True)]
    often, rarely = joy[::2], joy[1::2]
    test = stats.ttest_ind(often, rarely, equal_var=False)
    low, high = test.confidence_interval()
    one = found["happiness"]["overall"]
    wanted = (np.mean(often) - np.mean(rarely), low, high, test.pvalue)
    assert [one[name] for name in ("difference", "low", "high", "p")] == pytest.approx(wanted, abs=1e-3)
    for name in ("p", "overall"):
        rows = [found[s] if name == "p" else found[s]["overall"] for s in FERPLUS]
        corrected = multipletests([row["p"] for row in rows], method="holm")[1]
        assert [row["p_corrected"] for row in rows] == pytest.approx(corrected, abs=1e-3)


def test_it_is_told_why_a_higher_point_is_no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anger wanders far in each viewer by itself; surprise is still but for one start of all."""
    monkeypatch.setattr(results, "SHIFTS", 200)
    random, times = np.random.default_rng(4), np.arange(0, 120, 0.5)
    viewers = []
    for k in range(10):
        rows = np.full((len(times), len(FERPLUS)), 0.01)
        slow = np.repeat(random.random(24) < 0.3, 10)
        rows[:, FERPLUS.index("anger")] = 0.05 + 0.6 * slow
        rows[(times >= 60) & (times < 63), FERPLUS.index("surprise")] = 0.3
        rows[:, 0] = 1 - rows[:, 1:].sum(axis=1)
        timeline = timeline_of(times, rows, np.ones(len(times), bool), STIMULUS, 0.5)
        viewers.append(Viewer(str(k + 1), {STIMULUS: timeline}, quality={"finished": True}))
    part = film(build(study(stimuli=[DEFINITION["stimuli"][0] | {"duration_s": 120.0}], markers=[]), viewers))
    (moment,) = [m for m in part["moments"] if m["signal"] == "surprise"]
    assert moment["low"] <= moment["rise"] <= moment["high"]
    assert moment["p"] < 0.05
    (anger,) = [peak for peak in part["peaks"] if peak["signal"] == "anger"]
    assert anger["value"] > moment["value"] > moment["threshold"]
    assert anger["value"] < anger["threshold"]
    assert anger["p"] > 0.05
    assert "surprise" not in {peak["signal"] for peak in part["peaks"]}  # at rest but for its moment


# --- that it never tells of few


def test_fewer_viewers_than_the_smallest_group_show_nothing() -> None:
    for count in range(5):
        viewers = [replace(v, answers={"word": "secret", "mood": 3}) for v in people()[:count]]
        review = build(study(), viewers)
        many = {0: "No viewers", 1: "1 viewer"}.get(count, f"{count} viewers")
        assert review["hidden"] == f"{many} so far; results are shown from 5."
        part = film(review)
        assert (part["curves"], part["attention"], part["n"], part["synchrony"]) == (None, None, None, None)
        assert (part["groups"], part["differences"], part["moments"], part["times"]) == ({}, {}, [], [])
        assert review["agreement"] is None
        assert all(set(q) <= {"id", "part", "kind", "title", "low", "high", "n", "hidden", "by_group"} for q in review["questions"])
        assert "secret" not in json.dumps(review)
        assert review["counts"]["shown"] == 0
        assert len(review["viewers"]) == count  # how well each was seen is no result
        assert all(viewer["groups"] == {} for viewer in review["viewers"])  # but this may be what somebody answered


def test_a_film_that_few_have_watched_shows_nothing() -> None:
    films = [DEFINITION["stimuli"][0] | {"id": id} for id in ("one", "two")]
    viewers = simulate({"one": 72.0, "two": 72.0}, {}, HALF, seed=3)
    viewers = [v if int(v.name) < 5 else replace(v, timelines={"one": v.timelines["one"]}) for v in viewers]
    review = build(study(stimuli=films, markers=[]), viewers)
    assert review["hidden"] is None
    assert review["stimuli"][0]["curves"] is not None
    assert review["stimuli"][1]["curves"] is None
    assert review["stimuli"][1]["viewers"] == 4


def test_times_at_which_few_are_seen_are_blank() -> None:
    away = {n: ((30.0, 40.0),) for n in range(1, 7)}
    part = film(build(study(), people(away=away)))
    times, mean = np.array(part["times"]), part["curves"]["raw"]["happiness"]["mean"]
    inside = (times > 31) & (times < 39)
    assert all(mean[i] is None for i in np.flatnonzero(inside))
    assert all(mean[i] is not None for i in np.flatnonzero((times < 29) | ((times > 41) & (times < 71))))
    assert all(part["attention"][i] < 0.5 for i in np.flatnonzero(inside))  # all ten are looked at
    assert not [m for m in part["moments"] if 31 < m["time_s"] < 39]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_of_few_follows_from_the_curves_of_groups(seed: int) -> None:
    """At every time: what is not blank, as sums, tells of no set of fewer viewers."""
    random = np.random.default_rng(seed)
    groups = [{"cinema": str(random.choice(["often", "rarely"])), "age": str(random.choice(["a", "b", "c"]))} for _ in range(22)]
    for group in groups[:3]:
        del group["age"]
    away = {n: ((float(s := random.uniform(0, 60)), s + float(random.uniform(2, 25))),) for n in range(1, 23)}
    ages = {"id": "age", "title": "Age", "by": "link", "values": [{"id": v, "title": v} for v in "abc"]}
    asked = study(variables=[*DEFINITION["variables"], ages], smallest_group=4)
    viewers = people(groups, away=away, left_s={5: 20.0, 6: 33.0})
    part = film(build(asked, viewers))
    seen = audience.align([v.timelines[STIMULUS] for v in viewers], step_s=0.5, end_s=72.0)
    of = {
        variable: {v: np.array([g.get(variable) == v for g in groups]) for v in values}
        for variable, values in (("cinema", ("often", "rarely")), ("age", ("a", "b", "c")))
    }
    assert part["groups"], "there is something to check"
    blank = 0
    for kind in ("raw", "corrected"):
        for signal in ("happiness", "valence"):
            for t, present in enumerate(seen.seen.T):
                shown = {
                    (variable, value)
                    for variable, found in part["groups"].items()
                    for value, curve in found.items()
                    if curve[kind][signal]["mean"][t] is not None
                }
                if part["curves"][kind][signal]["mean"][t] is None:
                    assert present.sum() < 4
                assert all((of[a][b] & present).sum() >= 4 for a, b in shown)
                assert told(of, present, shown, 4) == []
                blank += sum(map(len, part["groups"].values())) - len(shown)
    assert blank > 0, "nothing had to be hidden, so nothing was tested"


def test_who_is_named_at_a_moment_never_tells_of_few() -> None:
    for smallest in (2, 3, 5):
        part = film(build(study(smallest_group=smallest), people()))
        assert part["moments"]
        for moment in part["moments"]:
            named = len(moment["viewers"])
            assert named == 0 or (named >= smallest and (moment["n"] == named or moment["n"] - named >= smallest))
            if moment["share"] is None:
                assert "fewer than" in moment["says"]
            else:
                assert moment["share"] == 0 or moment["share"] * moment["n"] >= smallest - 0.01


def test_answers_of_few_are_not_told() -> None:
    viewers = [replace(v, answers={"word": f"secret {v.name}", "mood": 4} if int(v.name) < 5 else {"mood": 2}) for v in people()]
    review = build(study(), viewers)
    by_id = {question["id"]: question for question in review["questions"]}
    assert by_id["word"]["n"] == 4
    assert "texts" not in by_id["word"]
    assert "secret" not in json.dumps(review)
    assert by_id["mood"]["n"] == 10
    lone = [replace(v, groups={"cinema": "often" if int(v.name) < 9 else "rarely"}) for v in viewers]
    review = build(study(), lone)
    assert film(review)["groups"] == {}  # the two would follow from all and the eight
    assert {q["id"]: q["by_group"] for q in review["questions"]}["mood"] == {}
    (values,) = [variable["values"] for variable in review["variables"]]
    assert [value["shown"] for value in values] == [False, False]


def test_self_reports_of_few_are_not_set_beside_expressions() -> None:
    felt = dict.fromkeys(FERPLUS, 1)
    viewers = [replace(v, answers={"felt": felt, "liking": 4} if int(v.name) < 5 else {}) for v in people()]
    agreement = build(study(), viewers)["agreement"]
    assert (agreement["rows"], agreement["liking"]) == ([], None)


def test_what_one_person_said_follows_from_no_two_means() -> None:
    """Everybody answered, and of one no face was seen: the mean of all answers less that of the others would be that one's."""
    felt = dict.fromkeys(FERPLUS, 1)
    viewers = [replace(v, answers={"felt": felt | {"sadness": int(v.name) % 5}, "liking": 4}) for v in people()]
    seen = build(study(), viewers)["agreement"]
    assert all(row["reported_mean"] is not None for row in (*seen["rows"], seen["liking"]))
    viewers[9] = replace(viewers[9], timelines={}, baseline=None)
    one_less = build(study(), viewers)["agreement"]
    assert {row["n"] for row in one_less["rows"]} == {9}
    assert all(row["reported_mean"] is None for row in (*one_less["rows"], one_less["liking"]))


def test_the_table_of_viewers_tells_no_answer() -> None:
    assert all(viewer["groups"] == {} for viewer in build(study(), people())["viewers"])
    by_link = [DEFINITION["variables"][0] | {"by": "link", "question": None}]
    rows = build(study(variables=by_link), people())["viewers"]
    assert [row["groups"] for row in rows] == HALF


def test_another_model_for_some_leaves_the_curves_of_the_rest(tmp_path: Path) -> None:
    viewers = people()
    seven = FERPLUS[:7]
    for k in (2, 5):
        given = viewers[k].timelines[STIMULUS]
        scores = given.emotions[:, :7] / given.emotions[:, :7].sum(axis=1, keepdims=True)
        other = replace(given, labels=seven, emotions=scores, smoothed=scores)
        viewers[k] = replace(viewers[k], timelines={STIMULUS: other}, baseline=None, answers={"mood": 4})
    review = build(study(), viewers)
    assert (review["labels"], film(review)["viewers"], len(review["viewers"])) == (list(FERPLUS), 8, 10)
    assert "Measured by a model that names other expressions, and so in no curve: 3, 6." in review["methods"]["text"]
    assert next(q["n"] for q in review["questions"] if q["id"] == "mood") == 2 + sum("mood" in v.answers for v in people())
    tables.write(tmp_path, review, study(), viewers)
    assert {line.split(",")[0] for line in (tmp_path / "long.csv").read_text().splitlines()[1:]} == set("124578") | {"9", "10"}


def test_both_models_of_a_film_are_named() -> None:
    viewers = people()
    first, then = ({"models": {"expression": {"name": name, "sha256": name * 20}}} for name in ("one", "two"))
    given = viewers[0].timelines[STIMULUS]
    settings = first | {"then": [{"from": 20, "settings": then}]}
    viewers[0] = replace(viewers[0], timelines={STIMULUS: replace(given, settings=settings)})
    assert (
        "with the models one (sha256 oneoneoneone…), two (sha256 twotwotwotwo…)." in build(study(), viewers)["methods"]["text"][0]
    )


def test_one_page_with_a_wild_clock_does_not_stretch_an_event() -> None:
    viewers = people()
    given = viewers[0].timelines[STIMULUS]
    wild = replace(given, times=np.append(given.times[:-1], 1e6))
    viewers[0] = replace(viewers[0], timelines={STIMULUS: wild})
    event = [DEFINITION["stimuli"][0] | {"kind": "event", "duration_s": None}]
    found = film(build(study(stimuli=event), viewers))
    assert 71 <= found["duration_s"] <= 72
    assert np.diff(found["times"]).max() < 0.6


def test_a_still_face_breaks_nothing() -> None:
    times = np.arange(0, 72, 0.5)
    still = np.tile(np.eye(8)[0], (len(times), 1))
    viewers = [Viewer(str(n), {STIMULUS: timeline_of(times, still, times >= 0, "x", 0.5)}) for n in range(10)]
    review = build(study(), viewers)
    json.dumps(review, allow_nan=False)
    assert film(review)["moments"] == []
    assert film(review)["facts"][2] == "No moment stands out from what chance would give."
