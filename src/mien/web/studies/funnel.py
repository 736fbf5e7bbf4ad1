"""How far people came with a study, counted without knowing who they are.

Of who opens the page, says no, or withdraws, a number in the study's row rises and nothing else is kept: no time, no address. Of
who agreed it is read off what is kept of them anyway, and goes with it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from mien.web.database import Participant, StudyRow, now

Opening = Literal["opened", "declined", "reconsidered", "not_open"]
"""What a page tells of who has not agreed: it was opened; somebody said no, and agreed all the same; nobody could begin."""

Camera = Literal[
    "insecure",
    "unsupported",
    "refused",
    "refused-by-system",
    "no-camera",
    "camera-busy",
    "camera-failed",
    "lost",
    "no-picture",
    "works",
    "without",
]
"""How the camera was when it was last asked for; "without": somebody goes on without one, as a kiosk offers it."""

LEFT = ("left", "screened")
"""Steps of those who did not come to the end and will not: at their own wish, or since others are looked for."""

AWAY, WATCHED_AT_MOST = timedelta(minutes=30), timedelta(hours=6)
"""After so long without a word somebody has stopped; while a film runs a page may have nothing to say."""

_NO_CAMERA = {
    "insecure": "browser",
    "unsupported": "browser",
    "refused": "not_allowed",
    "refused-by-system": "not_allowed",
    "no-camera": "no_camera",
    "camera-busy": "camera_failed",
    "camera-failed": "camera_failed",
    "lost": "camera_failed",
    "no-picture": "camera_failed",
}
_ERASED = {"operator": "erased", "mien": "over"}
_STAGES = ("agreed", "camera", "started", "finished")


def opening(study: StudyRow, what: Opening) -> None:
    """Counts somebody who has not agreed."""
    if what == "reconsidered":
        study.funnel = study.funnel | {"declined": max(0, study.funnel.get("declined", 0) - 1)}
        return
    study.funnel = study.funnel | {what: study.funnel.get(what, 0) + 1}


def gone(study: StudyRow, person: Participant, who: str) -> None:
    """Counts somebody of whom all is erased at the wish of `who`: the reason, and for who withdrew how far that one was."""
    reason = _ERASED.get(who) or f"withdrew_{reached(person)}"
    erased = study.funnel.get("erased", {})
    study.funnel = study.funnel | {"erased": erased | {reason: erased.get(reason, 0) + 1}}


def reached(person: Participant) -> str:
    """How far somebody came: agreed, camera, started or finished."""
    step = person.quality.get("left_at", person.step)
    films = person.quality.get("films", {}).values()
    if person.finished_at is not None:
        return "finished"
    if step == "after" or (step.startswith("film:") and step != "film:0"):
        return "started"
    if any(film.get("starts") or film.get("looks") for film in films):
        return "started"
    return "camera" if step == "film:0" else "agreed"


def stopped(person: Participant) -> bool:
    """Whether somebody who has not ended is heard of no more. Who comes back with the code has not stopped any longer."""
    quiet = abs(now() - person.seen_at)
    return person.step not in ("done", *LEFT) and quiet > (WATCHED_AT_MOST if person.step.startswith("film") else AWAY)


def funnel(study: StudyRow, people: Sequence[Participant]) -> dict[str, Any]:
    """All that `mien.study_report.funnel.funnel` takes, of everybody who is there and of what was counted."""
    known: Mapping[str, Any] = study.funnel
    agreed = max(study.names_given, len(people))
    far = [(person, reached(person)) for person in people]
    stages = {stage: sum(_STAGES.index(one) >= k for _, one in far) for k, stage in enumerate(_STAGES)}
    erased = Counter(known.get("erased", {}))
    withdrawn = agreed - len(people)
    if uncounted := max(0, withdrawn - erased.total()):
        erased["not_told"] += uncounted
    lost: dict[str, Counter[str]] = {stage: Counter() for stage in _STAGES}
    for person, one in far:
        if one != "finished":
            lost[_STAGES[_STAGES.index(one) + 1]][_why(person, one)] += 1
    if withdrawn:
        lost["camera"]["withdrawn"] += withdrawn
    not_agreed = {reason: known.get(reason, 0) for reason in ("declined", "not_open")}
    opened = known.get("opened")
    if opened is not None:  # who agreed has opened it, in whichever way the page did not count
        opened = max(opened, agreed + not_agreed["declined"]) + not_agreed["not_open"]
        lost["agreed"] = Counter(not_agreed | {"unanswered": opened - agreed - sum(not_agreed.values())})
    return {
        "stages": {"opened": opened} | stages | {"agreed": agreed},
        "lost": {stage: dict(reasons) for stage, reasons in lost.items()},
        "withdrawn": dict(erased) if withdrawn else {},
        "without_camera": sum(person.quality.get("camera") == "without" and one != "agreed" for person, one in far),
    }


def _why(person: Participant, reached: str) -> str:
    """Why somebody came no further."""
    camera = person.quality.get("camera", "")
    if reached == "agreed" and camera in _NO_CAMERA:
        return _NO_CAMERA[camera]
    if person.step == "screened":
        return str(person.quality.get("screened", "screened_out"))
    if person.step == "left":
        return "left"
    if not stopped(person):
        return "under_way"
    if reached != "started":
        return "stopped"
    return "stopped_answering" if person.step == "after" else "stopped_watching"
