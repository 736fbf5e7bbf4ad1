"""What makes reviews and their files in a process of its own, so that a long film takes neither the server's time nor its memory.

    python -m mien.web.reports.worker

One line of JSON comes in: {"data_dir", "database_url", "study", "until": date or null, "folder", "files": […], "papers": […]}. The
files are written into the folder in this order, whatever is there already is used; then one line goes out: {"done": …} or
{"failed": "…"}.
"""

import json
import logging
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.study.definition import Study
from mien.study_report.viewers import Viewer
from mien.web.database import Store, StudyRow, passes
from mien.web.settings import Settings
from mien.web.studies.service import Studies, left_out
from mien.web.tasks.child import work
from mien.web.writers import Writers
from mien.whole_file import whole_file

PAPERS = {"review.pdf": "a4", "review-letter.pdf": "letter"}
"""File → its paper."""

TABLES = ("long.csv", "wide.csv", "answers.csv", "viewers.csv", "moments.csv", "funnel.csv")
SHEETS = ("director.html", "director.pdf", "director.pptx")
"""The director's sheet."""

FILES = ("review.html", *PAPERS, *SHEETS, "review.json", *TABLES)
"""All that can be made of a review."""

ARCHIVE = "review.zip"
"""All of them in one."""

log = logging.getLogger(__name__)


def make(task: dict[str, Any]) -> list[str]:
    """Writes the files; gives their names. Raises `MienError`."""
    settings = Settings(data_dir=Path(task["data_dir"]), database_url=task["database_url"])
    store = Store(settings.url)
    studies = Studies(settings, store, Writers())
    row = studies.get(task["study"])
    if row is None:
        raise DataError("the study was erased meanwhile")
    folder, wanted = Path(task["folder"]), [name for name in task["files"] if not (Path(task["folder"]) / name).is_file()]
    study = Study.read(row.definition)
    until = datetime.fromisoformat(task["until"]) if task["until"] else None
    people: Sequence[Viewer] = ()
    odd: list[str] = []
    out = left_out(row, until)
    if {"review.json", "long.csv", "wide.csv", "answers.csv"} & set(wanted):
        people = [viewer for viewer in viewers_of(settings, store, row, until, odd) if viewer.name not in out]
    if "review.json" in wanted:
        review = _build(studies, row, study, people, until, odd, out)
        with whole_file(folder / "review.json") as part:
            part.write_text(json.dumps(review, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    else:
        review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    for name in wanted:
        if name == "review.json":
            continue
        with whole_file(folder / name) as part:
            if name == "review.html":
                from mien.study_report import page

                page.html(review, part)
            elif name in PAPERS:
                from mien.study_report import paper

                paper.pdf(review, part, paper=PAPERS[name])
            elif name in SHEETS:
                from mien.study_report import director

                write = {"html": director.html, "pdf": director.pdf, "pptx": director.pptx}[name.rpartition(".")[2]]
                write(review, part)
            elif name in TABLES:
                from mien.study_report import tables

                tables.write_one(part, name, review, study, people)
            elif name == ARCHIVE:
                with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
                    for one in FILES:
                        packed.write(folder / one, one)
    return wanted


def viewers_of(
    settings: Settings, store: Store, row: StudyRow, until: datetime | None = None, odd: list[str] | None = None
) -> list[Viewer]:
    """Everybody who counts in a study's review: participants by order of consent, then the viewers of its rooms; all of it as it
    stood at a moment, where one is given.

    Whoever cannot be read is left out, alone, as is an answer that its question cannot have. `odd` is given a sentence about each,
    which names the participant, the room or the question, and nothing that somebody said.
    """
    from mien.web.studies.participants import load_viewer
    from mien.web.studies.rooms import load_room

    studies = Studies(settings, store, Writers())
    study = Study.read(row.definition)
    odd = [] if odd is None else odd
    people: list[Viewer] = []
    for participant in studies.participants(row.id):
        if until is not None and participant.consented_at > until:
            continue
        try:
            viewer = load_viewer(store, settings, row, participant, until)
        except Exception as error:  # whatever it is: one person's data must not take everybody's report away
            _raise_what_passes(error)
            log.warning("participant %d of study %s is left out of its report: %s", participant.name, row.id, type(error).__name__)
            odd.append(f"Viewer {participant.name} is left out: what is kept of this person cannot be read; it can be erased.")
            continue
        answers = {question.id: question for question in (*study.before, *study.after)}
        unfit = [id for id, answer in viewer.answers.items() if id in answers and not answers[id].fits(answer)]
        for id in unfit:
            odd.append(f"Viewer {participant.name}'s answer to the question {id} is left out: it is none that the question takes.")
        people.append(replace(viewer, answers={id: one for id, one in viewer.answers.items() if id not in unfit}))
    for room in studies.rooms(row.id):
        try:
            people += load_room(settings, study, room, until)
        except Exception as error:
            _raise_what_passes(error)
            log.warning("room %d of study %s is left out of its report: %s", room.name, row.id, error)
            odd.append(f"Room {room.name} is left out: its file cannot be read.")
    return people


def _raise_what_passes(error: Exception) -> None:
    """Nobody is left out because a database was busy or memory short just now: then the report is made once more."""
    if isinstance(error, MemoryError) or passes(error):
        raise error


def _build(
    studies: Studies,
    row: StudyRow,
    study: Study,
    people: Sequence[Viewer],
    until: datetime | None,
    odd: Sequence[str],
    out: Mapping[str, str],
) -> dict[str, Any]:
    from mien.study_report.results import build

    films = {s.id: path for s in study.stimuli if (path := studies.film(row.id, s.id)).is_file()}
    counts: dict[str, Any] = {"invited": _invited(studies, row.id)}
    counted = None
    if until is None:
        counts |= studies.counts(row.id)
        counted = studies.funnel(row.id)
        counts["started"] = counted["stages"]["started"]
    return build(
        study,
        people,
        films=films,
        until=until,
        counts=counts,
        counted=counted,
        live=row.state == "open" and until is None,
        left_out=odd,
        excluded=out,
        simulated="The viewers of this study are simulated: nobody was filmed." if row.simulated else None,
    )


def _invited(studies: Studies, id: str) -> int | None:
    """How many people may come by the links of a study; None where one of them has no limit."""
    links = [1 if link.one_time else link.limit for link in studies.invitations(id)]
    return None if None in links else sum(filter(None, links))


if __name__ == "__main__":
    sys.exit(work(lambda task, tell: make(task)))
