"""Viewers → the review of a study, as one JSON-ready dict: what its page, its paper and its tables are drawn from.

Nothing in it is of fewer viewers than the study's smallest group: see `mien.study_report.small_groups`. That holds within one
review. Two reviews made before and after one more person took part differ by that person; the tables of single viewers are a file
of their own.
"""

import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import audience
from mien.audience import Audience
from mien.labels import FERPLUS
from mien.report import CAVEAT, LAW, colours
from mien.study.definition import drawn_sigma_s
from mien.study_report.answers import agreement, correct, questions, said
from mien.study_report.cuts import cuts
from mien.study_report.funnel import funnel
from mien.study_report.headline import LEAST_TESTED, changed, clearest, clock, headline
from mien.study_report.methods import MARKER_S, methods
from mien.study_report.presence import LEAST_WATCHED, presence, told, without_few
from mien.study_report.small_cells import small
from mien.study_report.small_groups import Group, may_show
from mien.study_report.stills import still, strip
from mien.study_report.viewers import Viewer, comparable

FORMAT = "mien-review 1"
TIMES_MAX = 3600
"""Cells of a film in which synchrony, moments and markers are worked out."""
DRAWN_MAX = 1200
GROUP_DRAWN_MAX = 600
DRAWS, SHIFTS, LEVEL, WINDOW_S = 1000, 200, 0.95, 30.0
GOOD_FACE_SHARE, POOR_FACE_SHARE = 0.9, 0.6
GOOD_READ_SHARE, POOR_READ_SHARE = 0.75, 0.5
GOOD_LOST_SHARE, GOOD_OTHERS_SHARE = 0.1, 0.1
STEP_SHARE = 0.1
"""Of the viewers: fewer that come or go at once are no step."""
WORTH_TELLING = 0.5
"""A point that is no moment is told where it rose by at least so much of what it would have needed."""
VALENCE = "valence"
BY_CUT = "_cut"
"""Stands for a variable where each person watches one of two cuts; no variable of a study can be called so."""

Json = dict[str, Any]
_Mask = NDArray[np.bool_]


def build(
    study: Any,
    viewers: Sequence[Viewer],
    *,
    films: Mapping[str, str | PathLike[str]] | None = None,
    until: datetime | None = None,
    step_s: float | None = None,
    at: datetime | None = None,
    counts: Mapping[str, int] | None = None,
    counted: Mapping[str, Any] | None = None,
    live: bool = False,
    left_out: Sequence[str] = (),
    excluded: Mapping[str, str] | None = None,
    simulated: str | None = None,
) -> Json:
    """The review as a JSON-ready dict, format "mien-review 1".

    study      a `mien.study.Study`
    films      id of the stimulus → its film, for stills; without one there are none
    until      only viewers who had finished by then, or, where they never did, had begun by then
    step_s     seconds of a cell of time; default: the study's `every_s`, or more where the film would have over 3,600 cells
    at         when the review is made, default now
    counts     what only the server knows: invited, agreed, left, withdrawn, rooms; default: counted from the viewers
    counted    how far people came and why not further, as `mien.study_report.funnel.funnel` takes it; only the server knows
    left_out   a sentence about each viewer or answer that could not be read; stands among the methods
    excluded   viewer → why whoever runs the study leaves that one out; they are not among the viewers, and the report says so
    simulated  a sentence that says so, shown on every page, where the viewers are
    """
    definition = study.json()
    language = definition["languages"][0]
    smallest = max(1, int(definition["smallest_group"]))
    viewers, others = comparable([viewer for viewer in viewers if until is None or counts_by(viewer, until)])
    measured = [viewer for viewer in viewers if any(len(t) for t in viewer.timelines.values())]
    labels = next((viewer.labels for viewer in measured if viewer.labels), FERPLUS)
    hidden = None
    if len(measured) < smallest:
        several = "1 viewer" if len(measured) == 1 else f"{len(measured) or 'No'} viewers"
        hidden = f"{several} so far; results are shown from {smallest}."
    members = _members(definition, viewers)
    by_cut = _by_cut(study, viewers)
    everybody = np.ones(len(viewers), bool)
    shown = may_show(members, everybody, smallest) if not hidden else set()
    by_link = {variable["id"] for variable in definition.get("variables") or () if variable["by"] == "link"}
    films = films or {}
    of = [_Of(definition, stimulus, viewers, labels, smallest, step_s) for stimulus in definition["stimuli"]]
    compared = [one for one in of if one.stimulus["id"] in (definition.get("cuts") or ())]
    shared = {one.stimulus["id"]: max(each.drawn_step_s for each in compared) for one in compared}
    parts = [_stimulus(replace(one, least_step_s=shared.get(one.stimulus["id"], 0.0)), films.get(one.stimulus["id"])) for one in of]
    review: Json = {
        "format": FORMAT,
        "title": definition["title"],
        "about": said(definition.get("about"), language),
        "made_at": _moment(at or datetime.now(UTC)),
        "until": _moment(until),
        "live": live,
        "simulated": simulated,
        "purpose": definition["purpose"],
        "smallest_group": smallest,
        "caveat": CAVEAT,
        "law": LAW,
        "labels": list(labels),
        "colours": colours(labels),
        "counts": _counts(viewers, measured, counts, bool(hidden)),
        "funnel": funnel(counted, smallest) if counted and any(counted["stages"].values()) else None,
        "hidden": hidden,
        "methods": methods(
            definition,
            measured,
            [part.json for part in parts],
            step_s=max((part.step_s for part in parts), default=0.0) or float(definition["every_s"]),
            numbers={"level": LEVEL, "draws": DRAWS, "shifts": SHIFTS, "window_s": WINDOW_S},
            simulated=simulated,
            notes=[*_measured_otherwise(others), *(note for part in parts for note in part.notes), *left_out],
            excluded=excluded or {},
        ),
        "variables": [
            {
                "id": variable["id"],
                "title": variable["title"],
                "values": [
                    {
                        "id": value["id"],
                        "title": value["title"],
                        "n": n if (n := int(members[variable["id"]][value["id"]].sum())) >= smallest else None,
                        "shown": (variable["id"], value["id"]) in shown,
                    }
                    for value in variable["values"]
                ],
            }
            for variable in definition.get("variables") or ()
        ]
        + [
            {
                "id": variable,
                "title": "Version watched",
                "values": [{"id": id, "title": _title(study, id), "n": None, "shown": False} for id in of_cut],
            }
            for variable, of_cut in by_cut.items()
        ],
        "stimuli": [part.json for part in parts],
        "cuts": _cuts(definition, parts, smallest),
        "excluded": [{"viewer": name, "reason": reason} for name, reason in (excluded or {}).items()],
        "viewers": [_viewer_row(viewer, {(v, value) for v, value in shown if v in by_link}) for viewer in viewers],
        "questions": questions(definition, viewers, members | by_cut, smallest),
        "agreement": None if hidden else agreement(definition, viewers, labels, _expressed(viewers, labels), smallest, DRAWS),
    }
    return review | {"headline": headline(review)}


def counts_by(viewer: Viewer, until: datetime) -> bool:
    """Whether a viewer counts in a review as it stood at a moment: had finished by then, or had begun and never did."""
    moment = viewer.finished_at or viewer.started_at
    return moment is not None and moment <= until


def _members(definition: Json, viewers: Sequence[Viewer]) -> dict[str, dict[str, _Mask]]:
    def of(variable: str, value: str) -> _Mask:
        return np.array([viewer.groups.get(variable) == value for viewer in viewers], bool)

    variables = definition.get("variables") or ()
    return {one["id"]: {value["id"]: of(one["id"], value["id"]) for value in one["values"]} for one in variables}


def _by_cut(study: Any, viewers: Sequence[Viewer]) -> dict[str, dict[str, _Mask]]:
    """Who watched which of two cuts of which each person watches one, as groups by which answers are told; else nothing."""
    if not study.one_of_cuts:
        return {}
    return {BY_CUT: {id: np.array([bool(len(v.timelines.get(id, ()))) for v in viewers], bool) for id in study.cuts}}


def _title(study: Any, stimulus: str) -> str:
    return str(study.stimulus(stimulus).title)


def _counts(viewers: Sequence[Viewer], measured: Sequence[Viewer], given: Mapping[str, int] | None, hidden: bool) -> Json:
    people = [viewer for viewer in viewers if not viewer.room]
    return {
        "invited": None,
        "agreed": len(people),
        "finished": sum(v.finished_at is not None for v in people),
        "left": sum(v.finished_at is None for v in people),
        "withdrawn": 0,
        "measured": len(measured),
        "started": sum(any(len(t) for t in v.timelines.values()) for v in people),
        "rooms": len({v.name.split("-")[0] for v in viewers if v.room}),
        "shown": 0 if hidden else len(measured),
        **(given or {}),
    }


# --- one film


@dataclass(frozen=True, slots=True)
class _Of:
    """What is asked about one film: of whom, and how finely; `least_step_s` is the least step of its drawings, as two cuts share
    one."""

    definition: Json
    stimulus: Json
    everybody: Sequence[Viewer]
    labels: Sequence[str]
    smallest: int
    step_s: float | None
    least_step_s: float = 0.0

    @property
    def viewers(self) -> list[Viewer]:
        """Those in whom it was measured."""
        return [v for v in self.everybody if len(v.timelines.get(self.stimulus["id"], ()))]

    @property
    def duration_s(self) -> float:
        """Of the film; of an event whose length nobody knows, as long as so many were there as may be shown: one page alone that
        tells a wild time does not stretch it."""
        if told := self.stimulus.get("duration_s"):
            return float(told)
        ends = sorted((float(v.timelines[self.stimulus["id"]].times[-1]) for v in self.viewers), reverse=True)
        return ends[min(self.smallest, len(ends)) - 1] if ends else 0.0

    @property
    def tested_step_s(self) -> float:
        """Of a cell in which synchrony, moments and markers are worked out."""
        return self.step_s or max(float(self.definition["every_s"]), self.duration_s / (TIMES_MAX - 1))

    @property
    def drawn_step_s(self) -> float:
        """Of a cell of the drawings."""
        return max(self.tested_step_s, self.duration_s / (DRAWN_MAX - 1))


@dataclass(frozen=True, slots=True)
class _Part:
    json: Json
    notes: tuple[str, ...] = ()
    step_s: float = 0.0
    drawn: Audience | None = None


def _stimulus(of: _Of, film: str | PathLike[str] | None) -> _Part:
    viewers = of.viewers
    duration_s = of.duration_s
    head: Json = {
        "id": of.stimulus["id"],
        "title": of.stimulus["title"],
        "kind": of.stimulus.get("kind", "film"),
        "duration_s": _rounded(duration_s, 3),
        "viewers": len(viewers),
    }
    pictures = {"strip": strip(film, duration_s)}
    if len(viewers) < of.smallest or duration_s <= 0:
        nothing: Json = dict.fromkeys(("attention", "n", "curves", "synchrony", "everybody")) | {"differences": {}, "sigma_s": 0}
        nothing |= {
            "steps": [],
            "left": [],
            "there": [],
            "peaks": [],
            "tested": False,
            "watched": {},
            "in_curves": 0,
            "least_watched": LEAST_WATCHED,
        }
        markers = [_marker(m, {}) for m in _markers(of)]
        return _Part(head | {"times": []} | nothing | {"groups": {}, "moments": [], "markers": markers, **pictures, "facts": []})
    step_s, drawn_step_s = of.tested_step_s, max(of.drawn_step_s, of.least_step_s)
    fine = _aligned(of, viewers, step_s)
    drawn = fine if drawn_step_s == step_s else _aligned(of, viewers, drawn_step_s)
    sigma_s = drawn_sigma_s(float(of.definition["curve_sigma_s"]), duration_s)
    who = presence(drawn, [viewer.room for viewer in viewers], of.smallest)
    kept = [viewer for viewer, inside in zip(viewers, who.kept, strict=True) if inside]
    json = head | {
        "times": _list(drawn.times, 3),
        "least_watched": LEAST_WATCHED,
        "watched": {viewer.name: _rounded(share) for viewer, share in zip(viewers, who.share, strict=True)},
        "there": _list(who.there.sum(axis=0), 0),
        "left": told(who, drawn.names, duration_s),
        "compared": bool(who.whole.sum() >= of.smallest),
        "sigma_s": sigma_s if 2 * sigma_s >= drawn_step_s else 0,
        **pictures,
        "everybody": None,
    }
    if len(kept) < len(viewers):
        some = [_aligned(of, kept, step) for step in (step_s, drawn_step_s)]
        everybody = [without_few(one, who.kept, of.smallest) for one in (fine, drawn)]
        json["everybody"] = _figures(of, everybody[0], everybody[1], sigma_s, film, who.kept)
        fine, drawn = some
    json |= _figures(of, fine, drawn, sigma_s, film)
    corrected = drawn.corrected() if drawn.baselines is not None else None
    groups = _groups(of, kept, drawn, corrected)
    json |= {"groups": groups, "differences": _differences(of, kept, drawn, corrected, groups, sigma_s, json["steps"])}
    json["facts"] = _facts(json, drawn, of.smallest)
    return _Part(json, _baseline_notes(kept, drawn, of), drawn_step_s, drawn)


def _cuts(definition: Json, parts: Sequence[_Part], smallest: int) -> Json | None:
    """The two films of a study that are cuts of one, beside each other; None where there are none or nothing of them is shown."""
    by_id = {part.json["id"]: part for part in parts}
    both = [by_id[id] for id in definition.get("cuts") or () if id in by_id]
    if len(both) != 2:
        return None
    return cuts([part.json for part in both], [part.drawn for part in both], smallest, level=LEVEL, draws=DRAWS)


def _figures(
    of: _Of, fine: Audience, drawn: Audience, sigma_s: float, film: str | PathLike[str] | None, kept: _Mask | None = None
) -> Json:
    """What is told of an audience, on the grid of the tests and on that of the drawings. `kept` is who of it is told of already:
    nothing is that would tell of the few others."""
    smoothed = fine.smoothed(sigma_s)
    corrected = drawn.corrected() if drawn.baselines is not None else None
    looked = drawn.looked.sum(axis=0)
    enough = drawn.seen.sum(axis=0) >= of.smallest
    n = _list(drawn.seen.sum(axis=0), 0, looked >= of.smallest)
    with ThreadPoolExecutor(1) as beside:  # synchrony is half of a review's time, and numpy lets two threads work at once
        synchrony = beside.submit(_synchrony, smoothed, of.smallest)
        found = {
            "attention": _list(drawn.attention, 4, looked >= of.smallest),
            "in_curves": len(drawn),
            "n": n,
            "steps": _steps(drawn.times, n, drawn.step_s),
            "curves": {"raw": _curves(drawn, enough), "corrected": _curves(corrected, enough) if corrected else None},
            **_moments(fine, smoothed, of.smallest, film, kept),
            "markers": corrected_markers([_marker(m, _effects(fine, m, of.smallest, kept)) for m in _markers(of)]),
        }
    return found | {"synchrony": synchrony.result()}


def _aligned(of: _Of, viewers: Sequence[Viewer], step_s: float) -> Audience:
    baselines = [viewer.baseline for viewer in viewers]
    known = [b for b in baselines if b is not None]
    # One who has no rest face is measured against the audience's. Left out instead, that one's curve could be worked out from the
    # difference of the two means.
    common = np.mean(known, axis=0) if len(known) * 2 >= len(viewers) and len(known) >= of.smallest else None
    rest = None if common is None else np.array([common if b is None else b for b in baselines], np.float32)
    return audience.align(
        [viewer.timelines[of.stimulus["id"]] for viewer in viewers],
        step_s=step_s,
        end_s=of.duration_s,
        names=[viewer.name for viewer in viewers],
        baselines=rest,
    )


def _steps(times: NDArray[np.float64], n: Sequence[int | None], step_s: float) -> list[Json]:
    """Where so many come or go from one cell to the next that the mean is another audience's: a tenth of the most, two at least."""
    most = max((one for one in n if one is not None), default=0)
    return [
        {"time_s": _rounded(time_s - step_s / 2, 3), "before": before, "after": after}
        for time_s, before, after in zip(times[1:], n, n[1:], strict=False)
        if before is not None and after is not None and abs(after - before) >= max(2, STEP_SHARE * most)
    ]


def _curves(of: Audience, enough: _Mask) -> Json:
    return {
        signal: {name: _list(getattr(curve, name), 4, enough) for name in ("mean", "low", "high")}
        for signal, curve in audience.mean_curves(of, level=LEVEL, draws=DRAWS).items()
    }


def _groups(of: _Of, viewers: Sequence[Viewer], raw: Audience, corrected: Audience | None) -> Json:
    """The curves of each group that may be shown, and of each only the times at which it may be."""
    members = _members(of.definition, viewers)
    shown = may_show(members, np.ones(len(viewers), bool), of.smallest)
    raw, corrected = _thinned(raw), _thinned(corrected) if corrected else None
    kept = {
        variable: {value: mask for value, mask in found.items() if (variable, value) in shown}
        for variable, found in members.items()
    }
    at: dict[bytes, set[tuple[str, str]]] = {}
    allowed = np.zeros((len(shown), len(raw.times)), bool)
    order = sorted(shown)
    for t, present in enumerate(np.ascontiguousarray(raw.seen.T)):
        key = present.tobytes()
        if key not in at:
            at[key] = may_show(kept, present, of.smallest)
        allowed[:, t] = [group in at[key] for group in order]
    found: Json = {}
    for (variable, value), times in zip(order, allowed, strict=True):
        mask = members[variable][value]
        found.setdefault(variable, {})[value] = {
            "n": int(mask.sum()),
            "times": _list(raw.times, 3),
            "seen": _list(raw.seen[mask].sum(axis=0), 0, times),
            "raw": _curves(raw.only(mask), times),
            "corrected": _curves(corrected.only(mask), times) if corrected else None,
        }
    return found


def _differences(
    of: _Of,
    viewers: Sequence[Viewer],
    raw: Audience,
    corrected: Audience | None,
    groups: Json,
    sigma_s: float,
    steps: Sequence[Json],
) -> Json:
    """Of each variable of which two groups are shown, and no more, how they differ, where both are shown; and by chance."""
    members = _members(of.definition, viewers)
    found: Json = {}
    for variable, shown in groups.items():
        if len(shown) != 2:
            continue
        one, other = (value for value in members[variable] if value in shown)
        side = [one if a else other if b else None for a, b in zip(members[variable][one], members[variable][other], strict=True)]
        means = [shown[value]["raw"][VALENCE]["mean"] for value in (one, other)]
        known = np.array([None not in pair for pair in zip(*means, strict=True)], bool)
        kinds = {"raw": raw, "corrected": corrected}
        found[variable] = {"groups": [one, other], "times": shown[one]["times"]} | {
            kind: _difference(_thinned(given), side, one, known, sigma_s, steps) if given else None for kind, given in kinds.items()
        }
    return found


def _difference(of: Audience, side: Sequence[str | None], first: str, known: _Mask, sigma_s: float, steps: Sequence[Json]) -> Json:
    """Of the times that are shown alone, and smoothed after the means are taken: so it tells no more than the two curves do."""
    shown = replace(of, seen=of.seen & known, emotions=np.where(known[:, None], of.emotions, np.float32(0)))
    apart_s = float(np.median(np.diff(of.times))) if len(of.times) > 1 else of.step_s
    cells = sigma_s / apart_s if 2 * sigma_s >= apart_s else 0.0
    cuts = np.searchsorted(of.times, [step["time_s"] for step in steps]).tolist()
    found: dict[str, Json] = {}
    tested = sum(one is not None for one in side) >= LEAST_TESTED
    for signal in of.signals:
        gap = audience.compare(shown, side, signal, smoothing_cells=cells, cuts=cuts, level=LEVEL, draws=DRAWS)
        sign = 1 if gap.groups[0] == first else -1
        low, high = (gap.low, gap.high) if sign > 0 else (-gap.high, -gap.low)
        there = known & gap.tested
        found[signal] = {
            "difference": _list(sign * gap.difference, 4, there),
            "low": _list(low, 4, there & tested),
            "high": _list(high, 4, there & tested),
            "p": _rounded(gap.p) if tested else None,
            "overall": _overall(shown, side, first, signal) if tested else None,
        }
    for family in ([one for signal, one in found.items() if signal != VALENCE], [found[VALENCE]]):
        correct(family)
        correct([one["overall"] for one in family if one["overall"]])
    return found


def _overall(of: Audience, side: Sequence[str | None], first: str, signal: str) -> Json | None:
    """By how much the groups differ over the whole film: Welch's t of each viewer's own mean; None where nothing varies."""
    from scipy import stats  # half a second

    counted = of.seen.sum(axis=1)
    own = of.signal(signal).sum(axis=1, dtype=np.float64) / np.maximum(counted, 1)
    one, other = (own[(counted > 0) & np.array([(s == first) == which and s is not None for s in side])] for which in (True, False))
    if min(len(one), len(other)) < 2 or not (one.std() + other.std()) > 0:
        return None
    test = stats.ttest_ind(one, other, equal_var=False)
    low, high = test.confidence_interval(LEVEL)
    names = ("difference", "low", "high", "p")
    return dict(zip(names, map(_rounded, (one.mean() - other.mean(), low, high, test.pvalue)), strict=True))


def _thinned(of: Audience) -> Audience:
    """Every so manieth time: the same cells, so that what may be shown of a part can be told from who is seen in the whole."""
    every = max(1, -(-len(of.times) // GROUP_DRAWN_MAX))
    if every == 1:
        return of
    columns = {name: getattr(of, name)[:, ::every] for name in ("emotions", "seen", "looked")}
    return replace(of, times=of.times[::every], **columns)


def _synchrony(of: Audience, smallest: int) -> Json | None:
    if len(of.names) < max(2, smallest):
        return None
    main = audience.synchrony(of, VALENCE, window_s=WINDOW_S, shifts=SHIFTS, level=LEVEL)
    found = audience.synchronies(of, of.labels, window_s=None, shifts=SHIFTS, level=LEVEL) | {VALENCE: main}
    by_signal = {
        signal: {name: _rounded(getattr(one, name)) if one.counted.sum() >= smallest else None for name in ("isc", "p")}
        for signal, one in found.items()
    }
    if main.counted.sum() < smallest:
        return None
    enough = main.n >= smallest
    return {
        "signal": VALENCE,
        "n": None if small(len(of) - int(main.counted.sum()), smallest) else int(main.counted.sum()),
        "isc": _rounded(main.isc),
        "null_low": _rounded(main.null_low),
        "null_high": _rounded(main.null_high),
        "p": _rounded(main.p),
        "times": _list(main.times, 3),
        "values": _list(main.values, 4, enough),
        "low": _list(main.low, 4, enough),
        "high": _list(main.high, 4, enough),
        "by_signal": by_signal,
    }


def _moments(measured: Audience, of: Audience, smallest: int, film: str | PathLike[str] | None, kept: _Mask | None = None) -> Json:
    """`of` is what was `measured`, smoothed: there the moments are looked for. `kept`: see `_figures`.

    Of fewer viewers than `LEAST_TESTED` no moment is named. `peaks` are the highest points of the signals beside their moments.
    """
    if len(of) < LEAST_TESTED:
        return {"moments": [], "peaks": [], "tested": False}
    found, peaks = [], []
    others = set() if kept is None else {name for name, inside in zip(of.names, kept, strict=True) if not inside}
    n_seen = of.seen.sum(axis=0)
    for moment in audience.moments(of, shifts=SHIFTS, level=LEVEL, draws=DRAWS, highest=True):
        at = int(np.abs(of.times - moment.time_s).argmin())
        if n_seen[at] < smallest:
            continue
        if moment.p > 1 - LEVEL:
            needed = moment.threshold - (moment.value - moment.rise)
            if abs(moment.rise) < WORTH_TELLING * abs(needed):
                continue
            peaks.append(
                {"signal": moment.signal, "direction": "up" if moment.direction == "peak" else "down"}
                | {name: _rounded(getattr(moment, name)) for name in ("time_s", "value", "threshold", "p")}
            )
            continue
        meanwhile = (of.times >= moment.start_s) & (of.times <= moment.end_s)
        n = int(of.seen[:, meanwhile].any(axis=1).sum())
        rose = len(moment.rose)
        told = not small(rose, smallest) and not small(len(others.intersection(moment.rose)), smallest)
        named = told and (n <= rose or n - rose >= smallest)
        verb = "appeared to rise" if moment.direction == "peak" else "appeared to fall"
        many = f"{rose} of {n}" if told else f"fewer than {smallest} of {n}"
        found.append(
            {
                "signal": moment.signal,
                "direction": "up" if moment.direction == "peak" else "down",
                "time_s": _rounded(moment.time_s, 3),
                "start_s": _rounded(moment.start_s, 3),
                "end_s": _rounded(moment.end_s, 3),
                "value": _rounded(moment.value),
                "rise": _rounded(moment.rise),
                "low": _rounded(min(moment.low, moment.rise)),
                "high": _rounded(max(moment.high, moment.rise)),
                "p": _rounded(moment.p),
                "threshold": _rounded(moment.threshold),
                "measured": _rounded(measured.signal(moment.signal)[:, at].sum(dtype=np.float64) / n_seen[at]),
                "share": _rounded(rose / n) if told else None,
                "n": n,
                "viewers": list(moment.rose) if named else [],
                "still": still(film, moment.time_s),
                "says": f"{moment.signal.capitalize()} {verb} in {many} viewers",
            }
        )
    return {"moments": found, "peaks": peaks, "tested": True}


# --- markers


def _markers(of: _Of) -> list[Json]:
    return sorted(
        (m for m in of.definition.get("markers") or () if m["stimulus"] == of.stimulus["id"]), key=lambda marker: marker["time_s"]
    )


def _marker(marker: Json, effects: Json) -> Json:
    return {name: marker.get(name) for name in ("id", "label", "time_s", "end_s")} | {"effects": effects}


def _effects(of: Audience, marker: Json, smallest: int, kept: _Mask | None = None) -> Json:
    def effects(some: Audience) -> dict[str, audience.Effect]:
        return audience.marker_effects(
            some, float(marker["time_s"]), before_s=MARKER_S, after_s=MARKER_S, end_s=marker.get("end_s"), level=LEVEL
        )

    found = effects(of)
    n = min(effect.n for effect in found.values())
    others = 0 if kept is None else n - min(effect.n for effect in effects(of.only(kept)).values())
    if n < smallest or 0 < others < smallest:
        return {}
    names = ("before", "after", "difference", "low", "high", "p", "n")
    told = {signal: {name: _rounded(getattr(effect, name)) for name in names} for signal, effect in found.items()}
    if n < LEAST_TESTED:
        told = {signal: effect | dict.fromkeys(("low", "high", "p")) for signal, effect in told.items()}
    return told


def corrected_markers(markers: list[Json]) -> list[Json]:
    """With each p corrected for the expressions that were looked at together (Holm), the valence's by itself; and in words."""
    for marker in markers:
        effects = marker["effects"]
        for alone in (False, True):
            correct([effect for signal, effect in effects.items() if (signal == VALENCE) is alone])
        for signal, effect in effects.items():
            effect["clear"], effect["says"] = changed(signal, effect)
    return markers


# --- words


def _facts(part: Json, drawn: Audience, smallest: int) -> list[str]:
    """A few sentences about one film, of what may be shown."""
    found = [f"{part['viewers']} viewers were measured."]
    if part["left"]:
        few = f"{len(part['left'])} of them saw less than {LEAST_WATCHED:.0%} of it"
        out = "and are in none of its curves" if part["compared"] else "too many to leave out: what steps in n cannot be compared"
        found.append(f"{few}{' ' if part['compared'] else ': '}{out}.")
    shares = [a for a in part["attention"] if a is not None]
    if shares:
        found.append(f"On average a face was found in {statistics.fmean(shares):.0%} of those in its curves.")
    if part["moments"]:
        best = clearest(part["moments"])
        at = clock(best["time_s"], part["duration_s"] or best["time_s"])
        found.append(f"The clearest moment is at {at}: {best['says'][0].lower()}{best['says'][1:]}.")
    elif part["tested"]:
        found.append("No moment stands out from what chance would give.")
    else:
        found.append(f"Moments are named from {LEAST_TESTED} viewers on.")
    if (synchrony := part["synchrony"]) and synchrony["isc"] is not None and synchrony["p"] is not None:
        than = "more alike than" if synchrony["p"] < 1 - LEVEL else "no more alike than"
        found.append(f"The viewers' apparent valence moved {than} chance would make it (mean correlation {synchrony['isc']:.2f}).")
    return found


def _measured_otherwise(others: Sequence[str]) -> tuple[str, ...]:
    return (f"Measured by a model that names other expressions, and so in no curve: {', '.join(others)}.",) if others else ()


def _baseline_notes(viewers: Sequence[Viewer], drawn: Audience, of: _Of) -> tuple[str, ...]:
    without = sum(viewer.baseline is None for viewer in viewers)
    if not without:
        return ()
    title, own = of.stimulus["title"], len(viewers) - without
    if drawn.baselines is None:
        return (f"{title}: only {own} of {len(viewers)} viewers have a rest face; too few to correct by it.",)
    return (f"{title}: {own} of {len(viewers)} viewers have a rest face of their own; for the others the mean of these stands in.",)


# --- viewers


def _viewer_row(viewer: Viewer, told: set[Group]) -> Json:
    """One viewer in the table. Of groups only those of links are told, not of questions: those are what that person answered."""
    facts = viewer.quality
    looks, late, dropped = (int(facts.get(name) or 0) for name in ("looks", "late", "dropped"))
    share = min(1.0, float(facts.get("with_face") or 0) / looks) if looks else None
    quality, why = _quality(viewer, looks, share, dropped)
    minutes = None
    if viewer.started_at and viewer.finished_at:
        minutes = round((viewer.finished_at - viewer.started_at).total_seconds() / 60, 1)
    return {
        "name": viewer.name,
        "room": viewer.room,
        "groups": {variable: value for variable, value in viewer.groups.items() if (variable, value) in told},
        "started_at": _moment(viewer.started_at),
        "minutes": minutes,
        "finished": bool(facts.get("finished")),
        "looks": looks,
        "face_share": _rounded(share),
        "late": late,
        "dropped": dropped,
        "pauses": int(facts.get("pauses") or 0),
        "gone_s": _rounded(float(facts.get("gone_s") or 0), 1),
        "quality": quality,
        "why": why,
        "others_share": _rounded(min(1.0, int(facts.get("with_others") or 0) / looks)) if looks else None,
        "gone_on": int(facts.get("gone_on") or 0),
    }


def _quality(viewer: Viewer, looks: int, share: float | None, dropped: int) -> tuple[str, str]:
    """good, fair or poor, and the reason in a sentence; none of somebody who was never measured."""
    if share is None:
        return "none", "Never watched."
    lost = dropped / (looks + dropped)
    if share < POOR_FACE_SHARE:
        return "poor", f"A face was found in only {share:.0%} of the looks."
    if share < GOOD_FACE_SHARE:
        return "fair", f"A face was found in {share:.0%} of the looks."
    if (read := _read_share(viewer, looks)) < POOR_READ_SHARE:
        return "poor", f"A face was found in {share:.0%} of the looks, but could be read in only {read:.0%}."
    if read < GOOD_READ_SHARE:
        return "fair", f"A face was found in {share:.0%} of the looks, but could be read in {read:.0%}."
    if lost > GOOD_LOST_SHARE:
        return "fair", f"{lost:.0%} of the looks were lost."
    others = int(viewer.quality.get("with_others") or 0) / looks
    if others > GOOD_OTHERS_SHARE:
        return "fair", f"Somebody else was in view in {others:.0%} of the looks."
    if not viewer.quality.get("finished"):
        return "fair", "Did not watch to the end."
    return "good", ""


def _read_share(viewer: Viewer, looks: int) -> float:
    """Of the looks, in how many the reading could be relied on; 1 where that was not counted."""
    read = viewer.quality.get("read")
    return 1.0 if read is None else min(1.0, int(read) / looks)


def _expressed(viewers: Sequence[Viewer], labels: Sequence[str]) -> list[dict[str, float] | None]:
    """For each viewer the mean over all looks with a face: of each label, and of valence."""
    found: list[dict[str, float] | None] = []
    for viewer in viewers:
        rows = [t for t in viewer.timelines.values() if len(t.emotions)]
        if not rows:
            found.append(None)
            continue
        mean = np.concatenate([t.emotions for t in rows]).mean(axis=0, dtype=np.float64)
        valence = float(np.concatenate([t.valence for t in rows]).mean(dtype=np.float64))
        found.append({label: float(m) for label, m in zip(labels, mean, strict=True)} | {VALENCE: valence})
    return found


# --- numbers


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def _rounded(value: Any, decimals: int = 4) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), decimals) + 0.0


def _list(values: Any, decimals: int, known: _Mask | None = None) -> list[Any]:
    """Numbers for JSON: rounded, whole ones as int, null where they are not `known`."""
    rounded = np.round(np.asarray(values, np.float64), decimals) + 0.0
    plain = rounded.astype(np.int64).tolist() if decimals == 0 else rounded.tolist()
    return plain if known is None else [v if k else None for v, k in zip(plain, known.tolist(), strict=True)]
