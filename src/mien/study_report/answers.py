"""Questionnaires as charts, and what faces showed beside what people said of themselves."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien import audience
from mien.study_report.small_groups import Members, may_show
from mien.study_report.viewers import Viewer

TEXTS_MAX = 200
AGREEMENT = (
    "Expression is not feeling. A face can be still while somebody is moved, and smile out of politeness; so the two are set "
    "beside each other here, and one does not correct the other. Each row compares, over viewers, how strongly people said they "
    "felt an emotion with how strongly their faces appeared to show it: rho is the rank correlation (1: the same order of viewers, "
    "0: no relation) with its 95 % interval, CCC whether the values themselves agree."
)
EMOTION_STEPS = 5  # 0 to 4
LIKING_STEPS = 7

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
            if chart["n"] >= smallest and question["kind"] not in ("short", "long"):
                for variable, value in sorted(may_show(_others(definition, question, members), answered, smallest)):
                    mask = members[variable][value]
                    given = [v.answers[question["id"]] for v, inside in zip(viewers, mask & answered, strict=True) if inside]
                    chart["by_group"].setdefault(variable, {})[value] = _chart(question, given, language, smallest)
            found.append(chart)
    return found


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
        return {"n": n, "counts": [_count(id, title, sum(id in c for c in chosen), n) for id, title in options]}
    if kind in ("scale5", "scale7", "liking"):
        steps = 5 if kind == "scale5" else LIKING_STEPS
        return {"n": n, **_spread(answers), "counts": [_count(str(s), str(s), answers.count(s), n) for s in range(1, steps + 1)]}
    if kind == "number":
        return {"n": n, **_spread(answers), "histogram": _histogram(answers)}
    if kind == "emotions":
        labels = list(dict.fromkeys(label for answer in answers for label in answer))
        of = {label: [a[label] for a in answers if label in a] for label in labels}
        return {
            "n": n,
            "emotions": {
                label: {"mean": round(statistics.fmean(given), 4), "counts": [given.count(s) for s in range(EMOTION_STEPS)]}
                for label, given in of.items()
                if len(given) >= smallest
            },
        }
    # In the order of the alphabet, which says nothing of who wrote what.
    return {"n": n, "texts": sorted((str(a).strip() for a in answers), key=str.casefold)[:TEXTS_MAX]}


def _histogram(answers: Sequence[float]) -> list[Json]:
    """Columns of a round width about all values: edges at the values themselves would tell the least and the most of them."""
    least, most = min(answers), max(answers)
    rough = max(most - least, 1e-9) / 8
    ten = 10.0 ** np.floor(np.log10(rough))
    width = next(float(ten * m) for m in (1, 2, 5, 10) if ten * m >= rough)
    edges = np.arange(np.floor(least / width), np.floor(most / width) + 2) * width
    heights, _ = np.histogram(np.array(answers, float), bins=edges)
    return [
        {"low": round(float(low), 4), "high": round(float(high), 4), "n": int(n)}
        for low, high, n in zip(edges[:-1], edges[1:], heights, strict=True)
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
    return {"text": AGREEMENT, "rows": rows, "liking": _agree(pairs, answered, smallest, draws, (1, LIKING_STEPS))}


def _agree(pairs: list[tuple[float, float]], answered: int, smallest: int, draws: int, scale: tuple[int, int]) -> Json | None:
    """None for fewer than `smallest` viewers, and for fewer than three, whose order says nothing.

    What these said on average is left out where a few more have `answered` whose faces were not seen: the mean of all answers is
    shown as well, and the few would follow from both.

    For the concordance, which compares the values themselves, the `scale` of the answers is laid on 0 to 1.
    """
    if len(pairs) < max(smallest, 3):
        return None
    reported, shown = np.array(pairs, float).T
    found = audience.agreement((reported - scale[0]) / (scale[1] - scale[0]), shown, draws=draws)
    return {
        "n": len(pairs),
        "rho": _known(found.rho),
        "low": _known(found.low),
        "high": _known(found.high),
        "ccc": _known(found.ccc),
        "reported_mean": None if 0 < answered - len(pairs) < smallest else round(float(reported.mean()), 4),
        "expressed_mean": round(float(shown.mean()), 4),
    }


def _known(value: float | None) -> float | None:
    """Rounded; None where it cannot be said, as where all gave the same answer."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
