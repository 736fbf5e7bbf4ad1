"""The tables of a review, for spreadsheets and statistics: RFC 4180, UTF-8, decimal points, newline "\\n".

long.csv      a row per viewer, film and cell of time, of single viewers
wide.csv      times down, a column per signal and, of single viewers, each one's valence
answers.csv   a row per viewer, a column per question, of single viewers
viewers.csv   a row per viewer: groups by link, and quality
moments.csv   a row per moment that stands out
funnel.csv    a row per stage of taking part, and per reason not to come that far

long, wide and answers hold what single viewers showed and said: research data for whoever runs the study, which no smallest group
protects. The review itself never does.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mien import audience
from mien.cells import safe
from mien.labels import FERPLUS, valence
from mien.report import writing
from mien.study_report.results import Json
from mien.study_report.viewers import Viewer, comparable
from mien.types import leading

NAMES = ("long.csv", "wide.csv", "answers.csv", "viewers.csv", "moments.csv", "funnel.csv")
StrPath = str | PathLike[str]


def write(folder: StrPath, review: Json, study: Any, viewers: Sequence[Viewer]) -> list[Path]:
    """All six tables into `folder`, which must be there. Raises `MediaError` where one cannot be written."""
    made = [Path(folder) / name for name in NAMES]
    for path in made:
        write_one(path, path.name, review, study, viewers)
    return made


def write_one(path: StrPath, name: str, review: Json, study: Any, viewers: Sequence[Viewer]) -> None:
    """One of the six, by its name, to `path`. Raises `MediaError` where it cannot be written."""
    if name == "long.csv":
        long(path, study, viewers)
    elif name == "wide.csv":
        wide(path, review, study, viewers)
    elif name == "answers.csv":
        answers(path, study, viewers)
    elif name == "viewers.csv":
        people(path, review)
    elif name == "moments.csv":
        moments(path, review)
    elif name == "funnel.csv":
        how_far(path, review)
    else:
        raise ValueError(f"no table {name!r}; known: {', '.join(NAMES)}")


def long(path: StrPath, study: Any, viewers: Sequence[Viewer]) -> None:
    """A row per viewer, film and cell of `every_s`, whether a face was seen or not.

    viewer, room, a column per variable, stimulus, time_s (the cell's middle, on the film's clock), the K probabilities, expression,
    valence, seen (0 or 1), and `<emotion>_corrected` and valence_corrected: minus the viewer's rest face; empty where unknown.
    """
    definition = study.json()
    variables = [variable["id"] for variable in definition.get("variables") or ()]
    viewers, _ = comparable(viewers)
    labels = next((viewer.labels for viewer in viewers if viewer.labels), FERPLUS)
    header = ["viewer", "room", *variables, "stimulus", "time_s", *labels, "expression", "valence", "seen"]
    header += [f"{label}_corrected" for label in labels] + ["valence_corrected"]
    k = len(labels)
    line = "%s%.3f," + "%.5f," * k + "%s,%.5f,1" + ",%.5f" * (k + 1) + "\n"
    line_raw = "%s%.3f," + "%.5f," * k + "%s,%.5f,1" + "," * (k + 1) + "\n"
    unseen = "%s%.3f," + "," * k + ",,0" + "," * (k + 1) + "\n"

    def rows() -> Iterator[str]:
        yield _line(header)
        for viewer in viewers:
            for stimulus in definition["stimuli"]:
                timeline = viewer.timelines.get(stimulus["id"])
                if timeline is None or not len(timeline):
                    continue
                end_s = float(stimulus.get("duration_s") or timeline.times[-1])
                grid = audience.align([timeline], step_s=float(definition["every_s"]), end_s=end_s)
                start = _line([viewer.name, int(viewer.room), *(viewer.groups.get(v, "") for v in variables), stimulus["id"], ""])[
                    :-1
                ]
                values = grid.emotions[0].astype(np.float64)
                columns = [grid.times, *values.T, leading(grid.emotions[0]), grid.valence[0]]
                if viewer.baseline is not None:
                    change = values - viewer.baseline
                    rest = float(valence(viewer.baseline, labels))
                    columns += [*change.T, grid.valence[0] - rest]
                form = line_raw if viewer.baseline is None else line
                for seen, row in zip(grid.seen[0].tolist(), zip(*(c.tolist() for c in columns), strict=True), strict=True):
                    if seen:
                        told = (*row[: k + 1], labels[row[k + 1]], *row[k + 2 :])
                        yield form % (start, *told)
                    else:
                        yield unseen % (start, row[0])

    _write(path, rows())


def wide(path: StrPath, review: Json, study: Any, viewers: Sequence[Viewer]) -> None:
    """A row per drawn time of each film.

    stimulus, time_s, viewers_seen, attention; for each signal `<signal>_mean`, `_low`, `_high`, as measured, then the same with
    `_corrected`; then `valence_<viewer>`, the valence of each single viewer as measured; viewers_there, how many were
    there, those in no curve among them. Empty where unknown or not shown.
    """
    viewers, _ = comparable(viewers)
    signals = [*review["labels"], "valence"]
    kinds = [(kind, "" if kind == "raw" else "_corrected") for kind in ("raw", "corrected")]
    curve_names = [f"{s}{end}_{part}" for _, end in kinds for s in signals for part in ("mean", "low", "high")]
    names = [viewer.name for viewer in viewers]
    header = ["stimulus", "time_s", "viewers_seen", "attention", *curve_names, *(f"valence_{name}" for name in names)]
    header.append("viewers_there")

    def rows() -> Iterator[str]:
        yield _line(header)
        for part in review["stimuli"]:
            times = part["times"]
            if not times:
                continue
            columns: list[Sequence[Any]] = [times, part["n"], part["attention"]]
            for kind, _ in kinds:
                curves = part["curves"][kind]
                nothing = [None] * len(times)
                columns += [curves[s][of] if curves else nothing for s in signals for of in ("mean", "low", "high")]
            columns += [*_valences(viewers, part["id"], times), part["there"]]
            for row in zip(*columns, strict=True):
                yield _line([part["id"], *row])

    _write(path, rows())


def _valences(viewers: Sequence[Viewer], stimulus: str, times: Sequence[float]) -> Iterator[list[float | None]]:
    """Each viewer's valence in the cells about `times`; None where no face was seen."""
    step_s = times[1] - times[0] if len(times) > 1 else 1.0
    for viewer in viewers:
        timeline = viewer.timelines.get(stimulus)
        if timeline is None or not len(timeline):
            yield [None] * len(times)
            continue
        grid = audience.align([timeline], step_s=step_s, start_s=times[0], end_s=times[-1] + step_s / 2)
        found = [round(v, 5) if seen else None for v, seen in zip(grid.valence[0].tolist(), grid.seen[0].tolist(), strict=True)]
        yield (found + [None] * len(times))[: len(times)]


def answers(path: StrPath, study: Any, viewers: Sequence[Viewer]) -> None:
    """viewer, a column per variable and per question, called as the study says, else by its id; of emotions a column
    `<question>_<label>` each, of a matrix `<question>_<row>`; of several choices their ids with "|" between them.

    A name that is there already gets a _ behind it.
    """
    definition = study.json()
    variables = [variable["id"] for variable in definition.get("variables") or ()]
    asked = [*(definition.get("before") or ()), *(definition.get("after") or ())]
    header = ["viewer", *(f"group_{variable}" for variable in variables)]
    for question in asked:
        name, kind = question.get("column") or question["id"], question["kind"]
        inner = FERPLUS if kind == "emotions" else [row["id"] for row in question["rows"]] if kind == "matrix" else ()
        for column in [f"{name}_{one}" for one in inner] or [name]:
            while column in header:  # as of a study that calls one `viewer`, or as a line of a matrix is called
                column += "_"
            header.append(column)

    def rows() -> Iterator[str]:
        yield _line(header)
        for viewer in viewers:
            if viewer.room:
                continue
            row: list[Any] = [viewer.name, *(viewer.groups.get(variable, "") for variable in variables)]
            for question in asked:
                answer = viewer.answers.get(question["id"])
                if question["kind"] == "emotions":
                    row += [(answer or {}).get(label) for label in FERPLUS]
                elif question["kind"] == "matrix":
                    row += [(answer or {}).get(one["id"]) for one in question["rows"]]
                elif question["kind"] == "multiple":
                    row.append(None if answer is None else "|".join(answer))
                else:
                    row.append(answer)
            yield _line(row)

    _write(path, rows())


def people(path: StrPath, review: Json) -> None:
    """The table of viewers of the review; of groups those of links, while those of answers stand in answers.csv.

    `watched_<stimulus>` is the share of a film that somebody was there for.
    """
    named = {variable for viewer in review["viewers"] for variable in viewer["groups"]}
    variables = [variable["id"] for variable in review["variables"] if variable["id"] in named]
    columns = (
        "room",
        "started_at",
        "minutes",
        "finished",
        "looks",
        "face_share",
        "late",
        "dropped",
        "pauses",
        "gone_s",
        "quality",
        "why",
        "others_share",
        "gone_on",
    )
    header = ["viewer", *(f"group_{variable}" for variable in variables), *columns]
    header += [f"watched_{part['id']}" for part in review["stimuli"]]
    rows = (
        [
            v["name"],
            *(v["groups"].get(x, "") for x in variables),
            *(v.get(name) for name in columns),
            *(part["watched"].get(v["name"], "") for part in review["stimuli"]),
        ]
        for v in review["viewers"]
    )
    _write(path, (_line(row) for row in (header, *rows)))


def moments(path: StrPath, review: Json) -> None:
    """The moments of the review, `viewers` with "|" between their names. value, rise and threshold are those of the smoothed mean,
    in which moments are looked for; measured is the mean at that time as it was measured."""
    columns = ("signal", "direction", "time_s", "start_s", "end_s", "value", "rise", "threshold", "share", "says")
    rows = (
        [
            part["id"],
            *(moment[name] for name in columns),
            "|".join(moment["viewers"]),
            moment.get("measured"),
            moment["low"],
            moment["high"],
            moment["p"],
        ]
        for part in review["stimuli"]
        for moment in part["moments"]
    )
    _write(path, (_line(row) for row in (["stimulus", *columns, "viewers", "measured", "rise_low", "rise_high", "p"], *rows)))


def how_far(path: StrPath, review: Json) -> None:
    """stage, n, reason, reason_n: a row per stage with an empty reason, then a row per reason of those who did not come as far; at
    last, as stage "withdrawn", those of whom all is erased. A number that is not known is empty; of a review that nobody counted
    for there is the head alone."""
    rows: list[list[Any]] = []
    found = review.get("funnel")
    for stage in found["stages"] if found else ():
        rows.append([stage["stage"], stage["n"], "", None])
        rows += [[stage["stage"], stage["n"], one["reason"], one["n"]] for one in stage["lost"]["reasons"]]
    if found:
        withdrawn = found["withdrawn"]
        rows.append(["withdrawn", withdrawn["n"], "", None])
        rows += [["withdrawn", withdrawn["n"], one["reason"], one["n"]] for one in withdrawn["reasons"]]
    _write(path, (_line(row) for row in (["stage", "n", "reason", "reason_n"], *rows)))


class _Echo:
    """What csv writes to: gives the line back."""

    def write(self, line: str) -> str:
        return line


_WRITER: Mapping[str, Any] = {"lineterminator": "\n"}


def _line(cells: Iterable[Any]) -> str:
    """One line. A text that a spreadsheet would run as a formula gets an apostrophe before it: people write what they like."""
    made: str = csv.writer(_Echo(), **_WRITER).writerow([_cell(cell) for cell in cells])
    return made


def _cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return int(cell)
    return safe(cell, words=True)


def _write(path: StrPath, lines: Iterable[str]) -> None:
    with writing(path) as file:
        file.writelines(lines)
