"""Questionnaires as charts, and what faces showed beside what people said of themselves."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien import audience
from mien.study_report.headline import CLEAR, LEAST_TESTED
from mien.study_report.small_cells import Bin, hidden, merged, small, told
from mien.study_report.small_groups import Members, may_show
from mien.study_report.viewers import Viewer

TEXTS_MAX = 200
AGREEMENT = (
    "Expression is not feeling. A face can be still while somebody is moved, and smile out of politeness; so the two are set "
    "beside each other here, and one does not correct the other. Each row compares, over viewers, how much people said they "
    "felt of an emotion with how sure the program was, on average, that their faces appeared to show it. Rho is the rank "
    "correlation (1: the same order of viewers, 0: no relation) with its 95 % interval; CCC says whether the values themselves "
    f"agree. A link is named from {LEAST_TESTED} viewers on, where the interval leaves out 0 and a permutation test, corrected for "
    "all expressions (Holm), gives p below .05."
)
EMOTION_STEPS = 5  # 0 to 4
LIKING_STEPS = 7
PERMUTATIONS = 9999

Json = dict[str, Any]


def said(text: Mapping[str, str] | str | None, language: str) -> str:
    """A text in `language`, else in its first one."""
    if isinstance(text, Mapping):
        return text.get(language) or next(iter(text.values()), "")
    return text or ""


def questions(definition: Json, viewers: Sequence[Viewer], members: Members, smallest: int) -> list[Json]:
    """The answers to each question, and by group; of fewer than `smallest` answers only their number is told."""
    language = definition["languages"][0]
    found = []
    for part in ("before", "after"):
        for question in definition.get(part) or ():
            answered = np.array([question["id"] in viewer.answers for viewer in viewers], bool)
            chart = {
                "id": question["id"],
                "part": part,
                "kind": question["kind"],
                "title": said(question["title"], language),
                "low": said(question.get("low"), language),
                "high": said(question.get("high"), language),
                **_chart(question, [v.answers[question["id"]] for v in viewers if question["id"] in v.answers], language, smallest),
                "by_group": {},
            }
            if chart["n"] >= smallest and question["kind"] not in ("short", "long", "matrix"):
                for variable, values in _parted(may_show(_others(definition, question, members), answered, smallest)).items():
                    masks = [members[variable][value] & answered for value in values]
                    rest = answered & ~np.logical_or.reduce(masks)
                    parts = [
                        [v.answers[question["id"]] for v, inside in zip(viewers, mask, strict=True) if inside] for mask in masks
                    ]
                    left = [v.answers[question["id"]] for v, inside in zip(viewers, rest, strict=True) if inside]
                    charts = [_chart(question, given, language, smallest) for given in parts]
                    # One group's count is that of all less the others': they are shown together or not at all.
                    if not _countable(question, [*parts, left], smallest):
                        charts = [
                            {name: of for name, of in one.items() if name not in ("counts", "histogram", "few")} for one in charts
                        ]
                    chart["by_group"][variable] = dict(zip(values, charts, strict=True))
            found.append(chart)
    return found


def _parted(groups: set[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for variable, value in sorted(groups):
        found.setdefault(variable, []).append(value)
    return found


def _countable(question: Json, parts: list[list[Any]], smallest: int) -> bool:
    """Whether no part of the answers has a count of few."""
    if question["kind"] in ("number", "emotions"):
        return False
    chosen = [[given if isinstance(given, list) else [given] for given in part] for part in parts]
    options = {one for part in chosen for given in part for one in given}
    return not any(small(sum(option in given for given in part), smallest) for part in chosen for option in options)


def _others(definition: Json, question: Json, members: Members) -> Members:
    """Without the variable that is this question: everybody of a group has given the same answer."""
    same = {v["id"] for v in definition.get("variables") or () if v.get("by") == "question" and v.get("question") == question["id"]}
    return {variable: of for variable, of in members.items() if variable not in same}


def _chart(question: Json, answers: list[Any], language: str, smallest: int) -> Json:
    """What is drawn of one question's answers; only their number where they are fewer than `smallest`."""
    n, kind = len(answers), question["kind"]
    if n < max(smallest, 1):
        return {"n": n, "hidden": True}
    if kind in ("single", "multiple"):
        chosen = [[a] if kind == "single" else a for a in answers]
        options = [(o["id"], said(o["title"], language)) for o in question["options"]]
        counts = [sum(id in c for c in chosen) for id, _ in options]
        few = hidden(counts, smallest) if kind == "single" else [small(count, smallest) for count in counts]
        counted = [
            _count(id, title, count, n) if not hide else {"id": id, "title": title, "n": None, "share": None}
            for (id, title), count, hide in zip(options, counts, few, strict=True)
        ]
        return {"n": n, "counts": counted, "few": sum(few)}
    if kind == "matrix":
        one = {"kind": "single", "options": question["options"]}
        rows = [(row, [a[row["id"]] for a in answers if row["id"] in a]) for row in question["rows"]]
        told_of = [(row, _chart(one, given, language, smallest)) for row, given in rows]
        return {"n": n, "rows": [{"id": row["id"], "title": said(row["title"], language)} | chart for row, chart in told_of]}
    if kind in ("scale5", "scale7", "liking"):
        return {"n": n, **_steps(answers, 1, 5 if kind == "scale5" else LIKING_STEPS, smallest)}
    if kind == "number":
        # The median of numbers is what one person said.
        return {"n": n, "mean": round(statistics.fmean(answers), 1), "histogram": _histogram(answers, smallest)}
    if kind == "emotions":
        labels = list(dict.fromkeys(label for answer in answers for label in answer))
        of = {label: [a[label] for a in answers if label in a] for label in labels}
        found = {label: _steps(given, 0, EMOTION_STEPS - 1, smallest) for label, given in of.items() if len(given) >= smallest}
        return {"n": n, "emotions": {label: {"mean": one["mean"]} for label, one in found.items() if one["mean"] is not None}}
    return {"n": n, **_texts(answers, smallest)}


def _texts(answers: Sequence[Any], smallest: int) -> Json:
    """What so many wrote alike, and how many wrote something else: a text of one's own tells of one."""
    written = [str(a).strip() for a in answers]
    alike = Counter(text.casefold() for text in written)
    # In the order of the alphabet, which says nothing of who wrote what.
    texts = sorted({text.casefold(): text for text in sorted(written)}.values(), key=str.casefold)
    shown = [text for text in texts if alike[text.casefold()] >= smallest]
    return {"texts": shown[:TEXTS_MAX], "withheld": len(written) - sum(alike[text.casefold()] for text in shown)}


def _steps(answers: Sequence[int], first: int, last: int, smallest: int) -> Json:
    """Answers on a scale: neighbouring steps together where one is of few, and the mean where it does not tell of few either."""
    n, exact = len(answers), [answers.count(step) for step in range(first, last + 1)]
    bins = [Bin(one.first + first, one.last + first, one.n) for one in merged(exact, smallest)]
    counts = [_count(one.first if one.first == one.last else reach, reach, one.n, n) for one in bins for reach in [_reach(one)]]
    if not any(small(count, smallest) for count in exact):
        return {**_spread(answers), "counts": counts}
    mean = round(statistics.fmean(answers), 1)
    # The exact sum, as means of groups may tell it.
    return {"mean": None if told(bins, sum(answers), smallest) else mean, "counts": counts}


def _reach(one: Bin) -> str:
    return str(one.first) if one.first == one.last else f"{one.first}–{one.last}"


def _histogram(answers: Sequence[float], smallest: int) -> list[Json]:
    """Columns of a round width about all values, none of few: edges at the values themselves would tell the least and the most."""
    least, most = min(answers), max(answers)
    rough = max(most - least, 1e-9) / 8
    ten = 10.0 ** np.floor(np.log10(rough))
    width = next(float(ten * m) for m in (1, 2, 5, 10) if ten * m >= rough)
    edges = np.arange(np.floor(least / width), np.floor(most / width) + 2) * width
    heights, _ = np.histogram(np.array(answers, float), bins=edges)
    return [
        {"low": round(float(edges[one.first]), 4), "high": round(float(edges[one.last + 1]), 4), "n": one.n}
        for one in merged(heights.tolist(), smallest)
    ]


def _count(id: Any, title: str, n: int, of: int) -> Json:
    return {"id": id, "title": title, "n": n, "share": round(n / of, 4)}


def _spread(answers: Sequence[float]) -> Json:
    sd = statistics.stdev(answers) if len(answers) > 1 else 0.0
    return {
        "mean": round(statistics.fmean(answers), 4),
        "sd": round(sd, 4),
        "median": round(float(statistics.median(answers)), 4),
    }


def agreement(
    definition: Json,
    viewers: Sequence[Viewer],
    labels: Sequence[str],
    expressed: Sequence[Mapping[str, float] | None],
    smallest: int,
    draws: int,
) -> Json:
    """Self-reported emotions and liking beside what the face showed.

    expressed  for each viewer the mean over all films of each label and of "valence", None where no face was found
    """
    asked = [q for part in ("before", "after") for q in definition.get(part) or ()]
    felt, liked = (next((str(q["id"]) for q in reversed(asked) if q["kind"] == kind), "") for kind in ("emotions", "liking"))
    rows = []
    for label in labels:
        pairs = [
            (viewer.answers[felt][label], shown[label])
            for viewer, shown in zip(viewers, expressed, strict=True)
            if shown is not None and felt in viewer.answers and label in viewer.answers[felt]
        ]
        answered = sum(label in viewer.answers.get(felt, ()) for viewer in viewers)
        if found := _agree(pairs, answered, smallest, draws, (0, EMOTION_STEPS - 1)):
            rows.append({"label": label, **found})
    pairs = [
        (viewer.answers[liked], shown["valence"])
        for viewer, shown in zip(viewers, expressed, strict=True)
        if shown is not None and liked in viewer.answers
    ]
    answered = sum(liked in viewer.answers for viewer in viewers)
    liking = _agree(pairs, answered, smallest, draws, (1, LIKING_STEPS))
    for family in (rows, [liking] if liking else []):
        correct(family)
        for row in family:
            row["says"] = together(row)
    return {"text": AGREEMENT, "rows": rows, "liking": liking}


def _agree(pairs: list[tuple[float, float]], answered: int, smallest: int, draws: int, scale: tuple[int, int]) -> Json | None:
    """None for fewer than `smallest` viewers, and for fewer than three, whose order says nothing.

    Of fewer than `LEAST_TESTED` no correlation, interval or test. What these said on average is left out where a few more have
    `answered` whose faces were not seen: the mean of all answers is shown as well, and the few would follow from both. So is what
    would tell of few by itself.

    For the concordance, which compares the values themselves, the `scale` of the answers is laid on 0 to 1.
    """
    n = len(pairs)
    if n < max(smallest, 3):
        return None
    reported, shown = np.array(pairs, float).T
    row: Json = dict.fromkeys(("rho", "low", "high", "p", "ccc"))
    if n >= LEAST_TESTED:
        found = audience.agreement((reported - scale[0]) / (scale[1] - scale[0]), shown, draws=draws)
        row = {name: _known(getattr(found, name)) for name in ("rho", "low", "high", "ccc")}
        row["p"] = _known(_by_permutation(reported, shown)) if found.rho is not None else None
    mean = _steps([int(value) for value in reported], *scale, smallest)["mean"]
    told_apart = mean is None or 0 < answered - n < smallest
    return {"n": n, **row, "reported_mean": None if told_apart else mean, "expressed_mean": round(float(shown.mean()), 4)}


def _by_permutation(reported: Any, shown: Any) -> float:
    """Two-sided p of Spearman's rho, where any viewer's answer might as well be with any other's face."""
    from scipy import stats  # half a second

    ranks, others = stats.rankdata(reported), stats.rankdata(shown)
    others = others - others.mean()

    def together(order: Any, axis: int) -> Any:
        return (order * others).sum(axis=axis)

    found = stats.permutation_test(
        (ranks,), together, permutation_type="pairings", n_resamples=PERMUTATIONS, vectorized=True, random_state=0
    )
    return float(found.pvalue)


def correct(family: Sequence[dict[str, Any]]) -> None:
    """Adds to each `p_corrected`: its `p` corrected for all of those (Holm)."""
    for one, p in zip(family, holm([one["p"] for one in family]), strict=True):
        one["p_corrected"] = _known(p)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p corrected for all that were looked at together (Holm 1979); None stays, and does not count."""
    order = sorted((p, k) for k, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    least = 0.0
    for place, (p, k) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - place)))
        found[k] = least
    return found


def together(row: Mapping[str, Any]) -> str:
    """How two things go together, in words a layman has: by the size at both ends of the interval, where it is more than chance."""
    n = row["n"]
    if n < LEAST_TESTED:
        return f"too few to say: {n} of at least {LEAST_TESTED} viewers"
    if row["rho"] is None or row["low"] is None:
        return "cannot be said"
    if row["low"] <= 0 <= row["high"] or row["p_corrected"] is None or row["p_corrected"] >= CLEAR:
        return f"not clear from {n} viewers"
    least, most = (_size(size) for size in sorted((abs(row["low"]), abs(row["high"]))))
    return f"{least if least == most else f'{least} to {most}'} {'link' if row['rho'] > 0 else 'opposite link'}"


def _size(rho: float) -> str:
    return "weak" if rho < 0.3 else "moderate" if rho < 0.5 else "strong"


def _known(value: float | None) -> float | None:
    """Rounded; None where it cannot be said, as where all gave the same answer."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
