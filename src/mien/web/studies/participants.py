"""Participants as the server keeps them: who may take part, what they agreed to and answered, how far they are, and their rights.

Nobody has an account. Whoever agrees is given a code of twelve letters, of which only a hash is kept: it opens everything that
belongs to that person, and nothing else does. Nothing else about the person is known: no address, no browser.
"""

import hashlib
import hmac
import logging
import random
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from mien.errors import DataError
from mien.study.dealing import deal
from mien.study.definition import Condition, End, Study, asked, drawn_sigma_s
from mien.types import flag_names
from mien.web.capture import participant_log as logs
from mien.web.capture.frame_log import Row
from mien.web.capture.wire import known
from mien.web.database import CLOCK, Invitation, Participant, Store, StudyRow, new_id, now
from mien.web.errors import ApiError
from mien.web.folders import held
from mien.web.security import LOOKED_AT, Attempts, LetIn, network
from mien.web.settings import Settings
from mien.web.studies import funnel
from mien.web.studies.proof import Erased, Left, Proof
from mien.web.studies.service import LinkState, Studies, Who, forget_left_out, link_state, note, touch

if TYPE_CHECKING:
    from mien.study_report.viewers import Viewer
    from mien.types import Timeline

log = logging.getLogger(__name__)

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32: no I, L, O or U, which people take for others."""

CODE_LETTERS = 12
CONFUSED = str.maketrans("ILO", "110")

TICKET_S = 6 * 3600
"""How long the address of a film can be asked."""

CURVE_POINTS_MAX = 600

COUNTED = {
    "film-start": "starts",
    "play": "plays",
    "pause": "pauses",
    "stall": "stalls",
    "seek": "seeks",
    "end": "ends",
    "hidden": "hidden",
    "camera-lost": "camera_lost",
}
"""What happens while a film runs → its counter. `shown` and `camera-back` end what was counted before."""

LEFT = funnel.LEFT
"""Steps of those who did not come to the end and will not."""

ENDED_BY = {"shown": ("hidden_at_s", "hidden_s"), "camera-back": ("camera_lost_at_s", "camera_lost_s")}

# --- the code


def new_code() -> str:
    """A code that nobody guesses, 60 bits, in groups of four."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(CODE_LETTERS))
    return "-".join(letters[i : i + 4] for i in range(0, CODE_LETTERS, 4))


def code_hash(code: str) -> str | None:
    """What is kept of a code, however it was typed: small letters, spaces, I and L for 1, O for 0. None for what cannot be one."""
    letters = "".join(c for c in code.upper() if not c.isspace() and c not in "-–—_.").translate(CONFUSED)
    if len(letters) != CODE_LETTERS or not set(letters) <= set(LETTERS):
        return None
    return hashlib.sha256(letters.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Measured:
    """How far one participant was measured during one film.

    counts  looks, with_face (the person's) and with_others (in which somebody else was in view)
    gone_s  how long the connection was gone since this was last said
    """

    participant: str
    stimulus: str
    position_s: float | None
    counts: Mapping[str, int]
    gone_s: float = 0.0


class Participants:
    """Everybody who takes part, in all studies. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, studies: Studies) -> None:
        self.settings, self.store, self.studies = settings, store, studies
        self.attempts = Attempts(settings.login_attempts_per_minute)
        self.guesses, self._let_in = Attempts(LOOKED_AT * settings.login_attempts_per_minute), LetIn()
        self.consents = Attempts(settings.consents_per_minute, "people began with a study here at once")
        self.openings = Attempts(settings.consents_per_minute, "people opened a study here at once")
        self._erasing = threading.Lock()

    # --- who may take part

    def invited(self, invitation_id: str) -> tuple[StudyRow, Invitation, str]:
        """The study that a link leads to, the invitation and its state: open, full, ended, closed or used.

        Raises `ApiError` 404 for a link that leads nowhere.
        """
        with self.store.reading() as rows:
            invitation = rows.get(Invitation, invitation_id)
            study = _study(rows, invitation)
            full = (
                study is not None
                and invitation is not None
                and invitation.groups
                and _full(rows, Study.read(study.definition), study.id, invitation.groups)
            )
        if invitation is None or study is None:
            raise ApiError(404, "not_found", "This invitation is not known here. Check the link, or ask whoever sent it to you.")
        state = state_of(study, invitation)
        return study, invitation, "full" if full and state == "open" else state

    def opening(self, invitation_id: str, what: funnel.Opening, address: str = "") -> None:
        """Counts that somebody who has not agreed opened the page, said no or could not begin. What cannot be counted is let go: a
        link that leads nowhere by now, and more from one address than sit in a room."""
        try:
            found, _, _ = self.invited(invitation_id)
            self.openings.check(address, count=what in ("opened", "not_open"))
        except ApiError:
            return
        with self.store.session() as rows:
            study = rows.scalar(select(StudyRow).where(StudyRow.id == found.id).with_for_update())
            if study is not None:
                funnel.opening(study, what)
                touch(rows, study.id)

    def agree(
        self,
        invitation_id: str,
        language: str,
        version: int,
        pictures: bool,
        address: str = "",
        identifiers: Mapping[str, str] | None = None,
    ) -> str:
        """Takes somebody's consent and gives the code. Raises `ApiError` 404, 409 or 422, and 429 where more came from an address
        than sit in a room; two at once never take one last place.

        identifiers  parameters of the address by which somebody came: kept are those that the text names
        """
        found, _, _ = self.invited(invitation_id)
        self.consents.check(address, count=True)
        code = new_code()
        with self.store.session() as rows:
            study = rows.scalar(select(StudyRow).where(StudyRow.id == found.id).with_for_update())
            invitation = rows.get(Invitation, invitation_id, with_for_update=True)
            if study is None or invitation is None:
                raise ApiError(404, "not_found", "This invitation was withdrawn a moment ago.")
            definition = Study.read(study.definition)
            state = "full" if _full(rows, definition, study.id, invitation.groups) else state_of(study, invitation)
            if state != "open":
                raise ApiError(409, f"invitation_{state}", NOT_OPEN[state])
            consent = definition.consent
            if version != consent.version:
                raise ApiError(
                    409,
                    "consent_changed",
                    "The text that you read has been changed since. Please read it again before you agree.",
                    detail=[{"version": consent.version, "text": dict(consent.text)}],
                )
            if language not in definition.languages:
                raise ApiError(
                    422, "invalid", f"language: wanted one of {', '.join(definition.languages)}, but got {language!r:.20}"
                )
            there = select(Participant.order).where(Participant.study_id == study.id, Participant.step.not_in(LEFT))
            order = deal(definition, list(rows.scalars(there)) if definition.cuts else (), random.SystemRandom())
            invitation.used += 1
            study.names_given += 1
            participant = Participant(
                id=new_id(),
                study_id=study.id,
                name=study.names_given,
                invitation_id=invitation.id,
                code_hash=code_hash(code),
                language=language,
                consent_version=version,
                pictures=pictures and definition.keep == "pictures",
                order=order,
                groups=definition.groups({}, invitation.groups),
                identifiers=definition.recruiting.kept(identifiers or {}, consent.text.get(language, "")),
            )
            rows.add(participant)
            rows.flush()
            touch(rows, study.id)
            note(rows, study.id, "participant", "agreed", viewer=participant.name, consent=version, pictures=participant.pictures)
        self._let_in.add((network(address), participant.code_hash))
        return code

    # --- who asks

    def by_code(self, code: str, address: str) -> Participant:
        """Whose code it is. Raises `ApiError` 401 for a wrong one, and 429 where wrong ones came too often from one address.

        A right one is let in all the same: a class or a cinema sits behind one address with whoever guesses. Where so many are
        wrong that no room mistypes them, none is looked up any more but those that were right there before, or were given there.
        """
        digest, whose = code_hash(code), network(address)
        if digest is not None:
            if (whose, digest) not in self._let_in:
                self.guesses.check(address)
            with self.store.reading() as rows:
                found = rows.scalar(select(Participant).where(Participant.code_hash == digest))
            if found is not None and hmac.compare_digest(found.code_hash, digest):
                self._let_in.add((whose, digest))
                return found
            self._let_in.drop((whose, digest))
        self.guesses.check(address, count=True)
        self.attempts.check(address, count=True)
        raise ApiError(
            401,
            "wrong_code",
            "This code is not known here. It has twelve letters and digits, such as K7PM-4QXD-9RTB. If you have withdrawn, all "
            "that was kept of you is erased.",
        )

    def study_of(self, participant: Participant) -> StudyRow:
        """The study that somebody takes part in."""
        return self.studies.known(participant.study_id)

    def there(self, participant: Participant) -> bool:
        """Whether somebody is not erased, by whatever process."""
        with self.store.reading() as rows:
            return rows.get(Participant, participant.id) is not None

    def folder(self, participant: Participant) -> Path:
        """Where what was measured of somebody lies; may not be there yet."""
        return self.studies.participant_folder(participant.study_id, participant.id)

    # --- what they do

    def answer(
        self, participant: Participant, part: str, given: Mapping[str, Any], through: bool = False
    ) -> tuple[dict[str, Any], str]:
        """Keeps answers of one part, beside those that are there; None takes one back. Gives all of that part, and the step then.

        through  the person went on from these questions: who is not among those looked for ends here

        Raises `ApiError` 409 where it is too early or too late for them, and 422 for one that cannot be.
        """
        with self._changing(participant) as (rows, row, study):
            questions = {question.id: question for question in (study.before if part == "before" else study.after)}
            steps = steps_of(row)
            place, films = steps.index(row.step), steps.index("camera") + 1
            if part == "before" and place >= films:
                raise ApiError(409, "too_late", "These questions are about the time before the film, which has begun.")
            if part == "after" and row.step != "after":
                raise ApiError(409, "too_early", "These questions come after the film.")
            kept = dict(row.answers.get(part, {}))
            for id, answer in given.items():
                if id not in questions:
                    raise ApiError(422, "invalid", f"answers: there is no question {id[:40]!r} {part} the film")
                try:
                    checked = None if answer is None else questions[id].check(answer)
                except DataError as error:
                    raise ApiError(422, "invalid", str(error), detail=[{"question": id}]) from error
                if checked is None:
                    kept.pop(id, None)
                else:
                    kept[id] = checked
            answered = row.answers.keys()
            row.answers = row.answers | {part: kept}
            by_link = self._by_link(rows, row)
            row.groups = study.groups(asked_answers(study, row.answers), by_link)
            touch(rows, row.study_id)
            if part not in answered:  # a page saves each answer at once
                note(rows, row.study_id, "participant", "answered", viewer=row.name, part=part)
            if part == "before" and through and _screened(study, kept):
                return {}, self._screen_out(rows, row, "screened_out")
            if row.step == "camera" and (why := _unwanted(rows, study, row)):  # who was let on answers anew
                return {}, self._screen_out(rows, row, why)
            step = row.step
        return kept, step

    def _by_link(self, rows: Session, row: Participant) -> Mapping[str, str]:
        invitation = rows.get(Invitation, row.invitation_id) if row.invitation_id else None
        return row.groups if invitation is None else invitation.groups

    def go(self, participant: Participant, step: str) -> str:
        """Goes on to a later step and gives it; the same once more is fine. Raises `ApiError` 409 and 422."""
        with self._changing(participant) as (rows, row, study):
            steps = steps_of(row)
            if step not in steps:
                raise ApiError(422, "invalid", f"step: wanted one of {', '.join(steps)}, but got {step[:40]!r}")
            at, to = steps.index(row.step), steps.index(step)
            if to == at:
                return step
            if to < at:
                raise ApiError(409, "step_back", f"You are at the step {row.step} already, and there is no way back to {step}.")
            left_out = [s for s in steps[at + 1 : to] if s not in ("before", "after")]
            if left_out:
                raise ApiError(409, "step_left_out", f"Before {step} comes {left_out[0]}.")
            for part, questions in (("before", study.before), ("after", study.after)):
                # Those before the film can be answered anew until it begins, so they are looked at once more then.
                if at <= steps.index(part) < to or (part == "before" and row.step == "camera"):
                    answered = row.answers.get(part, {})
                    if part == "before" and (why := _unwanted(rows, study, row)):
                        return self._screen_out(rows, row, why)
                    wanted = {question.id for question in asked((*study.before, *study.after), flat(row.answers))}
                    questions = tuple(question for question in questions if question.id in wanted)
                    lacking = [question.id for question in questions if question.required and question.id not in answered]
                    if lacking:
                        raise ApiError(
                            409,
                            "answers_missing",
                            f"Some questions {part} the film still need an answer.",
                            detail=[{"question": id} for id in lacking],
                        )
                    if len(answered) > len(kept := {id: one for id, one in answered.items() if id in wanted}):
                        row.answers = row.answers | {part: kept}  # to what is not asked any more there is no answer
            row.step = step
            if step == "done":
                row.finished_at = now()
            touch(rows, row.study_id)
            note(rows, row.study_id, "participant", "step", viewer=row.name, step=step)
        return step

    def _screen_out(self, rows: Session, row: Participant, why: str) -> str:
        """Ends taking part of somebody who is not looked for, or of whose group enough are there. Their answers are not needed, and
        the sweep takes them out of the database's own log."""
        row.quality = row.quality | {"left_at": row.step, "screened": why}
        row.answers, row.groups, row.step = {}, {}, "screened"
        touch(rows, row.study_id)
        note(rows, row.study_id, "participant", "screened out", viewer=row.name)
        self.store.owes = True
        return row.step

    def leave(self, participant: Participant) -> None:
        """Ends taking part. What was measured is kept, until it is withdrawn or its time is over."""
        with self._changing(participant, ended=True) as (rows, row, _):
            if row.step not in ENDED:
                row.quality = row.quality | {"left_at": row.step}
                row.step = "left"
                touch(rows, row.study_id)
                note(rows, row.study_id, "participant", "left", viewer=row.name)

    def camera(self, participant: Participant, state: funnel.Camera) -> None:
        """Remembers how the camera was when it was last asked for, to tell why people come no further; not of who has ended."""
        with self._changing(participant, ended=True) as (rows, row, _):
            if row.step not in ENDED and row.quality.get("camera") != state:
                row.quality = row.quality | {"camera": state}
                touch(rows, row.study_id)

    def happened(self, participant: Participant, event: str, stimulus: str, film_s: float, at_s: float) -> None:
        """Counts what happened while a film ran, and remembers where it was. Raises `ApiError` 409 and 422."""
        with self._changing(participant) as (_, row, _study):
            if stimulus not in row.order:
                raise ApiError(422, "invalid", f"stimulus: wanted one of {', '.join(row.order)}, but got {stimulus[:40]!r}")
            counts = dict(row.quality.get("films", {}).get(stimulus, {}))
            if event in COUNTED:
                counter = COUNTED[event]
                counts[counter] = counts.get(counter, 0) + 1
                if event in ("hidden", "camera-lost"):
                    counts[f"{counter}_at_s"] = at_s
            elif (begun := counts.pop(ENDED_BY[event][0], None)) is not None:
                total = ENDED_BY[event][1]
                counts[total] = round(counts.get(total, 0.0) + max(0.0, at_s - begun), 3)
            _count(row, stimulus, counts)
            row.positions = row.positions | {stimulus: round(film_s, 3)}

    def measured(self, so_far: Iterable["Measured"]) -> None:
        """Puts down how far people were measured. Passes over who was erased meanwhile."""
        studies = set()
        with self.store.session() as rows:
            for one in sorted(so_far, key=lambda one: one.participant):  # always in this order, so that none waits for each other
                row = rows.get(Participant, one.participant, with_for_update=True)
                if row is None:
                    continue
                row.seen_at = now()
                if one.position_s is not None:
                    farthest_s = max(one.position_s, row.positions.get(one.stimulus, 0.0))
                    row.positions = row.positions | {one.stimulus: round(farthest_s, 3)}
                counts = dict(row.quality.get("films", {}).get(one.stimulus, {}))
                counts |= one.counts
                if one.gone_s:
                    counts["gone_s"] = round(counts.get("gone_s", 0.0) + one.gone_s, 3)
                _count(row, one.stimulus, counts)
                studies.add(row.study_id)
            for study in sorted(studies):
                touch(rows, study)

    @contextmanager
    def _changing(self, participant: Participant, *, ended: bool = False) -> Iterator[tuple[Session, Participant, Study]]:
        """The row of somebody who is still there, to be changed, with the study's definition. Raises `ApiError` 401 and 409.

        ended  also of those who have left or are done
        """
        with self.store.session() as rows:
            row = rows.get(Participant, participant.id, with_for_update=True)
            study = _study(rows, row)
            if row is None or study is None:
                raise ApiError(401, "wrong_code", "You have withdrawn: all that was kept of you is erased.")
            if not ended:
                refuse_ended(study, row)
            row.seen_at = now()
            yield rows, row, Study.read(study.definition)

    # --- films

    def ticket(self, participant: Participant, stimulus: str) -> str:
        """What opens one film for a while, without the code being in an address. Holds over a restart of the server."""
        until = int(CLOCK.unset_s()) + TICKET_S  # a clock that is set ends no film
        return f"{participant.id}.{until}.{_signature(participant, stimulus, until)}"

    def film(self, stimulus: str, ticket: str) -> Path:
        """The film that a ticket opens. Raises `ApiError` 401 and 404."""
        refused = ApiError(401, "wrong_ticket", "This address of the film is not right, or not any more; reload the page.")
        id, _, rest = ticket.partition(".")
        until, _, signature = rest.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 16):
            raise refused
        with self.store.reading() as rows:
            participant = rows.get(Participant, id)
        right = participant is not None and hmac.compare_digest(
            _signature(participant, stimulus, int(until)).encode(), signature.encode("utf-8", "replace")
        )
        over = not 0 <= int(until) - CLOCK.unset_s() <= TICKET_S
        if participant is None or not right or over or stimulus not in participant.order:
            raise refused
        path = self.studies.film(participant.study_id, stimulus)
        if not path.is_file():
            raise ApiError(404, "not_found", "This film is not there any more.")
        return path

    # --- rights

    def curve(self, participant: Participant) -> dict[str, Any]:
        """What was measured of somebody, film by film, for that person's own eyes."""
        study = self.study_of(participant)
        viewer = load_viewer(self.store, self.settings, study, participant)
        titles = {stimulus["id"]: stimulus.get("title", "") for stimulus in study.definition.get("stimuli", [])}
        sigma_s = Study.read(study.definition).curve_sigma_s
        films = [
            {"id": id, "title": titles[id]} | drawn(found, drawn_sigma_s(sigma_s, float(found.times.max(initial=0))))
            for id in participant.order
            if (found := viewer.timelines.get(id)) is not None
        ]
        self.studies.note(study.id, "participant", "saw the own curve", viewer=participant.name)
        return {"films": films}

    def export(self, participant: Participant, who: Who = "participant") -> dict[str, Any]:
        """All that is kept of somebody, but the pictures; `logs.pictures` gives those. What the address by which they came says of
        them is kept apart from the rest: only they themselves get both in one."""
        study = self.study_of(participant)
        consent = next((c for c in study.consents if c.get("version") == participant.consent_version), None)
        folder = self.folder(participant)
        measured = {}
        for stimulus in (logs.BASELINE, *participant.order):
            found = logs.looks(folder, stimulus)
            if found is not None:
                measured[stimulus] = {
                    "labels": list(found.labels),
                    "settings": found.facts["settings"],
                    "largest_until": found.facts.get("largest_until"),
                    "looks": [_look(row) for row in found],
                }
        self.studies.note(study.id, who, "exported one person", viewer=participant.name)
        return {
            "format": "mien-participant 1",
            "study": study.title,
            "viewer": participant.name,
            "language": participant.language,
            "consent": {"version": participant.consent_version, "at": participant.consented_at.isoformat(), "text": consent},
            "pictures": participant.pictures,
            "step": participant.step,
            "order": participant.order,
            "positions": participant.positions,
            "answers": participant.answers,
            "groups": participant.groups,
            "quality": participant.quality,
            **({"identifiers": participant.identifiers} if who == "participant" else {}),
            "seen_at": participant.seen_at.isoformat(),
            "finished_at": participant.finished_at.isoformat() if participant.finished_at else None,
            "measured": measured,
        }

    def ending(self, participant: Participant, withdrawn: bool = False) -> End | None:
        """The code and address for somebody who has ended, or withdraws now; None where it is too early."""
        step = "left" if withdrawn else participant.step
        name = {"done": "finished", "screened": "screened_out", "left": "withdrawn"}.get(step)
        if name is None:
            return None
        return Study.read(self.study_of(participant).definition).recruiting.end(name, participant.identifiers)

    def erase(self, participant: Participant, who: Who = "participant") -> Proof:
        """Erases all that is kept of somebody and proves it: what went, and what is left, counted afterwards."""
        self.studies.writers.stop(participant.id)
        study_id, folder = participant.study_id, self.folder(participant)
        with self._erasing:
            files, size = held(folder)
            with self.store.session() as rows:
                row = rows.get(Participant, participant.id)
                if row is not None:
                    study = rows.scalar(select(StudyRow).where(StudyRow.id == study_id).with_for_update())
                    if study is not None:
                        funnel.gone(study, row, who)
                        forget_left_out(study, [str(row.name)])
                    rows.delete(row)
                    touch(rows, study_id)
                    note(rows, study_id, who, "withdrawn" if who == "participant" else "erased", viewer=participant.name)
            shutil.rmtree(folder, ignore_errors=True)
            # Made from everybody's data, and made again without this person's when somebody asks.
            self.studies.forget_reviews(study_id)
            self.store.forget()
            with self.store.reading() as rows:
                rows_left = rows.get(Participant, participant.id) is not None
            files_left, size_left = held(folder)
        return Proof(
            erased=Erased(rows=int(row is not None), files=files - files_left, bytes=size - size_left),
            left=Left(rows=int(rows_left), files=files_left),
        )


def _study(rows: Session, of: Invitation | Participant | None) -> StudyRow | None:
    return None if of is None else rows.scalar(select(StudyRow).where(StudyRow.id == of.study_id))


def _count(row: Participant, stimulus: str, counts: dict[str, Any]) -> None:
    """Puts down what was counted during one film, and the sums over all."""
    films = row.quality.get("films", {}) | {stimulus: counts}
    sums = {name: sum(film.get(name, 0) for film in films.values()) for name in ("looks", "with_face", "with_others")}
    row.quality = row.quality | {"films": films} | sums


NOT_OPEN = {
    "full": "As many people as were wanted have taken part. Thank you for your interest.",
    "ended": "The time for taking part is over. Thank you for your interest.",
    "closed": "This study does not take anybody any more. Thank you for your interest.",
    "used": "This link was for one person, and has been used. Whoever began with it goes on with the code.",
}
"""Why nobody can begin with an invitation."""


def state_of(study: StudyRow, invitation: Invitation) -> LinkState:
    """Whether somebody can begin with an invitation: open, full, ended, closed or used."""
    return link_state(invitation) if study.state == "open" else "closed"


def refuse_ended(study: StudyRow, participant: Participant) -> None:
    """Raises `ApiError` 409 for who has ended, and in a study that has. Who has begun may finish though no one else may begin."""
    if participant.step in ENDED:
        words = _ENDED_WORDS[participant.step]
        raise ApiError(409, "over", f"{words} With your code you can still see, take away or withdraw what was kept.")
    if study.state not in ("open", "closed"):
        raise ApiError(409, "study_over", "This study is over. With your code you can still see or withdraw what was kept.")


ENDED = ("done", *LEFT)
"""Steps after which there is none."""

_ENDED_WORDS = {
    "left": "You have left this study.",
    "screened": "This study looks for other people.",
    "done": "You have come to the end of this study.",
}


def _screened(study: Study, answers: Mapping[str, Any]) -> bool:
    """Whether somebody with these answers before the film is not among those looked for."""
    return any(Condition(one.id, one.screen_out).holds(answers) for one in asked(study.before, answers) if one.screen_out)


def _unwanted(rows: Session, study: Study, row: Participant) -> str | None:
    """Why somebody is not wanted once the questions before the film are answered, screened_out or quota; None where that is not
    so. Two at once never take the last place of a group."""
    if _screened(study, row.answers.get("before", {})):
        return "screened_out"
    by_answer = {one.id for one in study.variables if one.by == "question" and any(value.most is not None for value in one.values)}
    mine = {variable: value for variable, value in row.groups.items() if variable in by_answer}
    if not mine:
        return None
    rows.scalar(select(StudyRow).where(StudyRow.id == row.study_id).with_for_update())
    return "quota" if _full(rows, study, row.study_id, mine, but=row.id) else None


def _full(rows: Session, study: Study, id: str, groups: Mapping[str, str], but: str = "") -> bool:
    """Whether as many of one of these groups take part as are wanted: have come to the end, or are under way. Of groups by answers
    only those who are through with the questions count."""
    most = {(one.id, value.id): value.most for one in study.variables for value in one.values}
    limits = {(variable, value): limit for variable, value in groups.items() if (limit := most.get((variable, value))) is not None}
    if not limits:
        return False
    by_link = {one.id for one in study.variables if one.by == "link"}
    wanted = select(Participant).where(Participant.study_id == id, Participant.step.not_in(LEFT), Participant.id != but)
    there = [person for person in rows.scalars(wanted) if not funnel.stopped(person)]
    through = [person for person in there if person.step not in ("agreed", "before")]
    return any(
        sum(person.groups.get(variable) == value for person in (there if variable in by_link else through)) >= limit
        for (variable, value), limit in limits.items()
    )


def steps_of(participant: Participant) -> list[str]:
    """All steps of somebody who does not leave, in order."""
    return ["agreed", "before", "camera", *(f"film:{k}" for k in range(len(participant.order))), "after", "done"]


def asked_answers(study: Study, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{question: answer} of both parts, of those questions that are asked of somebody with these answers."""
    given = flat(answers)
    wanted = {question.id for question in asked((*study.before, *study.after), given)}
    return {id: answer for id, answer in given.items() if id in wanted}


def flat(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{question: answer} of both parts."""
    return dict(answers.get("before", {})) | dict(answers.get("after", {}))


def public(study: StudyRow, order: Sequence[str] | None = None) -> dict[str, Any]:
    """What participants are told of a study: nothing of its operator, groups or markers, and of no film that they do not watch.

    order  the films of the one who asks; None: of nobody yet, who may watch either of two cuts
    """
    definition = Study.read(study.definition)
    plain = definition.json()
    watched = [stimulus.id for stimulus in definition.watched_by_one] if order is None else order
    told = (
        "title",
        "about",
        "contact",
        "languages",
        "keep",
        "every_s",
        "baseline_s",
        "retention_days",
        "before",
        "after",
        "consent",
    )
    films = [stimulus for stimulus in plain["stimuli"] if stimulus["id"] in watched]
    films = [{name: stimulus[name] for name in ("id", "title", "kind", "duration_s")} for stimulus in films]
    told_of = {name: plain[name] for name in told}
    told_of["before"] = [question | {"screen_out": []} for question in plain["before"]]  # who knew would answer otherwise
    return told_of | {"stimuli": films, "identifiers": plain["recruiting"]["identifiers"]}


def load_viewer(
    store: Store, settings: Settings, study: StudyRow, participant: Participant, until: datetime | None = None
) -> "Viewer":
    """All of somebody that counts in a review, as it stood at a moment where one is given.

    Of who was in the middle then, that is what had been measured; the answers before the film once that had begun, as they cannot
    change any more, and of those after it none. So nothing but withdrawing changes it afterwards.
    """
    from mien.study_report.viewers import Viewer

    definition = Study.read(study.definition)
    folder = settings.studies_dir / study.id / "participants" / participant.id
    timelines = {}
    quality: dict[str, Any] = {"looks": 0, "with_face": 0, "with_others": 0, "gone_on": 0, "read": 0}
    quality |= {"late": 0, "dropped": 0, "pauses": 0, "gone_s": 0.0}
    labels: tuple[str, ...] | None = None
    for stimulus in definition.stimuli:
        counts = participant.quality.get("films", {}).get(stimulus.id, {})
        quality["pauses"] += counts.get("pauses", 0) + counts.get("stalls", 0)
        quality["gone_s"] += counts.get("gone_s", 0.0)
        found = logs.looks(folder, stimulus.id, until)
        if found is None or not len(found.rows) or found.labels != (labels or found.labels):
            continue
        labels = found.labels
        timelines[stimulus.id] = timeline = found.timeline(stimulus.duration_s)
        quality["looks"] += len(timeline)
        quality["with_face"] += len(timeline.frame_rows)
        quality["read"] += int(timeline.relied_on.sum())
        quality["with_others"] += found.with_others
        quality["gone_on"] += found.gone_on
        quality["late"] += int(found.rows["late"].sum())
        # Pages number what they take without a hole; numbers that a disk damaged may say anything.
        quality["dropped"] += max(0, found.last + 1 - len(found.rows))
    at_rest = logs.looks(folder, logs.BASELINE, until)
    baseline = logs.Baseline(at_rest, definition.baseline_s)
    fits = at_rest is not None and at_rest.labels == (labels or at_rest.labels)
    finished_at = participant.finished_at
    answers, groups = flat(participant.answers), dict(participant.groups)
    if until is not None and (finished_at is None or finished_at > until):
        finished_at = None
        answers = dict(participant.answers.get("before", {})) if timelines else {}
        asked = {variable.id: variable.question for variable in definition.variables if variable.by == "question"}
        groups = {name: value for name, value in groups.items() if name not in asked or asked[name] in answers}
    finished = participant.step == "done" and finished_at is not None
    quality |= {"gone_s": round(quality["gone_s"], 3), "finished": finished, "no_baseline": baseline.why}
    return Viewer(
        name=str(participant.name),
        timelines=timelines,
        baseline=baseline.emotions if fits else None,
        answers=answers,
        groups=groups,
        started_at=participant.consented_at,
        finished_at=finished_at,
        quality=quality,
    )


def drawn(timeline: "Timeline", sigma_s: float) -> dict[str, Any]:
    """A Timeline of one person as at most `CURVE_POINTS_MAX` points: times, and of each label and valence the mean, None where
    nobody was found; the same smoothed as the report's curves are; and the share of those times in which each label leads."""
    from mien.audience import align, smooth

    times = timeline.times
    step_s = max(0.5, float(times[-1] - times[0]) / CURVE_POINTS_MAX) if len(times) else 0.5
    measured = align([timeline], step_s=step_s, start_s=step_s / 2, max_gap_s=0)
    seen, looked = measured.seen[0], measured.looked[0]

    def values(name: str, sd: float = 0.0) -> list[float | None]:
        found = smooth(measured.signal(name)[0], seen, sd)
        return [round(float(value), 4) if there else None for value, there in zip(found[looked], seen[looked], strict=True)]

    lead = np.bincount(measured.emotions[0][seen].argmax(axis=1), minlength=len(timeline.labels)) if seen.any() else None
    return {
        "times": [round(float(t), 3) for t in measured.times[looked]],
        "signals": {name: values(name) for name in measured.signals},
        "curves": {name: values(name, sigma_s / step_s) for name in measured.signals},
        "leads": {} if lead is None else dict(zip(timeline.labels, (lead / lead.sum()).round(4).tolist(), strict=True)),
        "face_share": round(float(seen[looked].mean()), 4) if looked.any() else None,
    }


def _look(row: Row) -> dict[str, Any]:
    """One frame as an export shows it: all that the log holds of it."""
    found = {name: getattr(row, name) for name in ("sequence", "part", "captured_s", "width", "height", "light", "late")}
    found |= {"film_s": row.time_s, "faces": row.in_view, "others": row.in_view - len(row.result)}
    found |= {"track": 0, "box": None, "score": None, "emotions": None, "reliability": None, "flags": []}
    if len(row.result):
        faces, (emotions,) = row.result.faces, row.result.emotions.tolist()
        found |= {"track": int(row.result.tracks[0]), "box": faces.boxes[0].tolist(), "score": float(faces.scores[0])}
        found["emotions"] = emotions
        found["reliability"] = known(row.result.reliability[0])
        found["flags"] = list(flag_names(int(row.result.flags[0])))
    return found


def _signature(participant: Participant, stimulus: str, until: int) -> str:
    """Only the server and the person know the hash of the code; the person may ask for tickets anyway."""
    said = f"film {participant.id} {stimulus} {until}"
    return hmac.new(participant.code_hash.encode(), said.encode(), hashlib.sha256).hexdigest()
