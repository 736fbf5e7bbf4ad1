"""Who came from elsewhere and how taking part ended, as a table to hand in there; apart from what was measured and answered."""

import csv
import io

from mien.cells import safe
from mien.study.definition import Study
from mien.web.database import Participant
from mien.web.studies.funnel import stopped
from mien.web.studies.service import Studies


def recruited(studies: Studies, id: str) -> str:
    """CSV: a column for each identifier of the study, outcome, agreed_on; a row for each person of whom one is kept. The number of
    a person in the report is not in it, nor the order in which they came. Outcomes: finished, screened_out, quota, left, stopped,
    under_way. Raises `ApiError` 404."""
    names = Study.read(studies.known(id).definition).recruiting.identifiers
    people = [person for person in studies.participants(id) if person.identifiers]
    rows = sorted(
        [*(person.identifiers.get(name, "") for name in names), outcome(person), person.consented_at.date().isoformat()]
        for person in people
    )
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    for row in ([*names, "outcome", "agreed_on"], *rows):
        writer.writerow([safe(cell, words=True) for cell in row])
    studies.note(id, "operator", "exported identifiers", people=len(people))
    return made.getvalue()


def outcome(person: Participant) -> str:
    """How taking part ended, or that it has not."""
    if person.step == "done":
        return "finished"
    if person.step == "screened":
        return str(person.quality.get("screened", "screened_out"))
    return "left" if person.step == "left" else "stopped" if stopped(person) else "under_way"
