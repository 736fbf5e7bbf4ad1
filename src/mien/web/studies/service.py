"""Studies as the server keeps them: their rows, their folders, and who did what with them.

DATA/studies/<id>/films/<stimulus>.mp4               what participants watch
DATA/studies/<id>/participants/<participant id>/…    what was measured of each
DATA/studies/<id>/rooms/<room id>.npz                what was measured of many at once
DATA/studies/<id>/reviews/                           made from the rest; may be deleted at any time
"""

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mien.errors import DataError
from mien.study.definition import (
    ANSWERED_UNDER,
    REFUSED,
    Lack,
    Marker,
    Study,
    broken_by,
    default_consent,
    film_of,
    with_todays_names,
)
from mien.web.database import AuditEntry, Invitation, Participant, Room, Store, StudyRow, new_id, now
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.studies.funnel import funnel
from mien.web.writers import Writers

Who = Literal["operator", "participant", "mien"]
State = Literal["open", "closed", "archived"]
LinkState = Literal["open", "used", "full", "ended", "closed"]

FILM_FACTS = ("duration_s", "file", "sha256")
"""What the server knows of a film; nobody sets it."""

INCOMING, UPLOADING = ".in", ".upload"
"""End the names of the folders of films that wait to be made ready, and of films that are just being sent."""

REPORTS = "reports"
"""With a study's id and a slash before it: all that is made from its data."""

SAW_AGAIN_AFTER = timedelta(minutes=10)
"""A page that is open asks every few seconds; its log would be a log of nothing else."""


class Studies:
    """All studies. Its methods may be called from any thread; what they cannot do is an `ApiError`."""

    def __init__(self, settings: Settings, store: Store, writers: Writers) -> None:
        self.settings, self.store, self.writers = settings, store, writers

    # --- folders

    def folder(self, id: str) -> Path:
        """Where a study's films and measurements lie; may not be there yet."""
        return self.settings.studies_dir / id

    def participant_folder(self, id: str, participant_id: str) -> Path:
        """Where what was measured of a participant lies; may not be there yet."""
        return self.folder(id) / "participants" / participant_id

    def film(self, id: str, stimulus: str) -> Path:
        """The film that participants watch."""
        return self.folder(id) / "films" / f"{stimulus}.mp4"

    def incoming(self, id: str, stimulus: str) -> Path:
        """Where the upload of a film lies until it is ready."""
        return self.film(id, stimulus).with_name(f"{stimulus}{INCOMING}")

    # --- rows

    def create(self, definition: dict[str, Any], *, simulated: bool = False, action: str = "created") -> StudyRow:
        """A new study of this definition, as a draft, with a consent text for each language that has none. 422 for what cannot
        be in it."""
        study = read(definition).with_default_consent()
        study = replace(study, consent=replace(study.consent, version=1))
        row = StudyRow(
            title=study.title, definition=study.json(), consents=[_consent(study)], films={}, simulated=simulated, id=new_id()
        )
        with self.store.session() as rows:
            rows.add(row)
            rows.flush()
            note(rows, row.id, "operator", action)
        return row

    def get(self, id: str) -> StudyRow | None:
        """The study, if there is one."""
        with self.store.reading() as rows:
            return rows.scalar(select(StudyRow).where(StudyRow.id == id))

    def known(self, id: str) -> StudyRow:
        """The study. Raises `ApiError` 404 where there is none."""
        row = self.get(id)
        if row is None:
            raise _no_study(id)
        return row

    def list(self, *, archived: bool = True) -> Sequence[StudyRow]:
        """All studies, the newest first."""
        wanted = select(StudyRow).order_by(StudyRow.number.desc())
        with self.store.reading() as rows:
            return list(rows.scalars(wanted if archived else wanted.where(StudyRow.state != "archived")))

    def touch(self, id: str) -> int:
        """Says that a study's data changed: its version rises, and what was made from the data is made again. Gives the version."""
        with self.store.session() as rows:
            return touch(rows, id)

    def forget_reviews(self, id: str) -> None:
        """Removes what was made from the data, and ends what is being made; it is made again when somebody asks."""
        self.writers.stop(f"{id}/{REPORTS}")
        remove(self.folder(id) / "reviews")

    def participants(self, id: str) -> Sequence[Participant]:
        """Everybody who agreed to take part, in that order."""
        with self.store.reading() as rows:
            return list(rows.scalars(select(Participant).where(Participant.study_id == id).order_by(Participant.name)))

    def rooms(self, id: str) -> Sequence[Room]:
        """The rooms of a study, in the order in which they were made."""
        with self.store.reading() as rows:
            return list(rows.scalars(select(Room).where(Room.study_id == id).order_by(Room.name)))

    def participant(self, id: str, name: str) -> Participant:
        """The participant of this name. Raises `ApiError` 404."""
        with self.store.reading() as rows:
            number = int(name) if name.isascii() and name.isdigit() and len(name) < 9 else -1
            found = rows.scalar(select(Participant).where(Participant.study_id == id, Participant.name == number))
        if found is None:
            raise ApiError(404, "not_found", f"There is no viewer {name[:20]} in this study. They may have withdrawn.")
        return found

    def counts(self, id: str) -> dict[str, int]:
        """How many agreed, ever; how many of those finished, left, or are gone with all that was kept of them; and the rooms."""
        with self.store.reading() as rows:
            agreed = rows.scalar(select(StudyRow.names_given).where(StudyRow.id == id)) or 0
            of_study = select(func.count()).select_from(Participant).where(Participant.study_id == id)
            there = rows.scalar(of_study) or 0
            finished = rows.scalar(of_study.where(Participant.finished_at.is_not(None))) or 0
            left = rows.scalar(of_study.where(Participant.step == "left")) or 0
            rooms = rows.scalar(select(func.count()).select_from(Room).where(Room.study_id == id)) or 0
        agreed = max(agreed, there)
        return {"agreed": agreed, "finished": finished, "left": left, "withdrawn": agreed - there, "rooms": rooms}

    def funnel(self, id: str) -> dict[str, Any]:
        """How far people came, and why not further, as `mien.study_report.funnel.funnel` takes it. Raises `ApiError` 404."""
        return funnel(self.known(id), self.participants(id))

    def leave_out(self, id: str, viewer: str, reason: str) -> None:
        """Takes somebody, who must be there, out of the report from now on; in again where there is no reason.

        The report says who is left out and why; the log says it of whom, and no reason. Raises `ApiError` 404.
        """
        with self.store.session() as rows:
            row = locked(rows, id)
            if left_out(row).get(viewer, "") == reason:
                return
            row.left_out = row.left_out | {viewer: [*row.left_out.get(viewer, []), [now().isoformat(), reason]]}
            row.version, row.changed_at = row.version + 1, now()
            note(rows, id, "operator", "left out of the report" if reason else "taken into the report again", viewer=viewer)

    # --- changing

    def change(self, id: str, part: Mapping[str, Any] | Callable[[Study], Mapping[str, Any]]) -> StudyRow:
        """The study with these fields of its definition, or with those that `part` makes of it, instead of its own. 422 for what
        cannot be, 409 for what would break what people took part in, or leave an open study without something that it needs."""
        with self.store.session() as rows:
            row = locked(rows, id)
            old = Study.read(row.definition)
            new = read(_merged(old, part(old) if callable(part) else part))
            new = in_step(old, new)
            if took_part(rows, id):
                refuse_breaking(old, new)
            if row.state == "open":
                lacking = [what for what in missing(row, new) if what not in missing(row, old)]
                if lacking:
                    raise ApiError(
                        409, "open", f"The study is open and cannot be without {_and(lacking)}. Close it first.", detail=lacking
                    )
                if _films(old) != _films(new):
                    raise _open_films()
            changed = [name for name in new.json() if new.json()[name] != old.json()[name]]
            if not changed:
                return row
            gone = {s.id for s in old.stimuli} - {s.id for s in new.stimuli}
            row.films = {name: facts for name, facts in row.films.items() if name not in gone}
            keep(rows, row, new)
            note(rows, id, "operator", "changed", fields=changed)
        for stimulus in gone:  # and nothing else: another film may just be coming in
            for path in (self.film(id, stimulus), self.incoming(id, stimulus)):
                remove(path)
        return row

    def change_markers(
        self, id: str, markers: Sequence[Mapping[str, Any]], was: Sequence[Mapping[str, Any]] | None = None
    ) -> tuple[Marker, ...]:
        """Other markers, at any time: they change nothing for participants.

        was  the markers as they were known to whoever changes them: what others have changed since stays then. None: there are to
             be these markers and no others
        """

        def changed(study: Study) -> dict[str, Any]:
            if was is None:
                return {"markers": markers}
            known, wanted = {marker["id"]: marker for marker in was}, {marker["id"]: marker for marker in markers}
            kept = {marker["id"]: marker for marker in study.json()["markers"]}
            for id in known.keys() - wanted.keys():
                kept.pop(id, None)
            return {"markers": list((kept | {id: one for id, one in wanted.items() if one != known.get(id)}).values())}

        return Study.read(self.change(id, changed).definition).markers

    def film_is(self, rows: Session, id: str, stimulus: str, **facts: Any) -> None:
        """Notes how far a film is; once it is ready also what the definition says of it. Does nothing where it is gone."""
        row = rows.scalar(select(StudyRow).where(StudyRow.id == id).with_for_update())
        if row is None or stimulus not in row.films:
            return
        row.films = row.films | {stimulus: row.films[stimulus] | facts}
        if facts.get("state") == "ready":
            old = Study.read(row.definition)
            row.films[stimulus]["file"] = row.films[stimulus]["name"]
            told = {name: row.films[stimulus].get(name) for name in FILM_FACTS}
            stimuli = tuple(replace(s, **told) if s.id == stimulus else s for s in old.stimuli)
            keep(rows, row, in_step(old, replace(old, stimuli=stimuli)))

    def set_state(self, id: str, state: State) -> StudyRow:
        """Opens, closes or archives a study. 409 with the list of what is missing where it cannot be opened."""
        with self.store.session() as rows:
            row = locked(rows, id)
            if state == "open":
                lacking = missing(row)
                if lacking:
                    raise ApiError(409, "incomplete", f"The study cannot be opened yet; it lacks {_and(lacking)}.", detail=lacking)
            if state == "open" and row.consents:
                row.consents = [*row.consents[:-1], row.consents[-1] | {"offered": True}]
            if row.state != state:
                row.state, row.version, row.changed_at = state, row.version + 1, now()
                note(rows, id, "operator", {"open": "opened", "closed": "closed", "archived": "archived"}[state])
        return row

    def duplicate(self, id: str) -> StudyRow:
        """A draft of the same definition with the same films, without anybody's data."""
        row = self.known(id)
        study = Study.read(row.definition)
        title = f"{study.title[:190]} (copy)".strip()
        new = self.create(replace(study, title=title, consent=_fitting(study, title)).json(), action="duplicated")
        return self._with_films(new, {s.id: (self.film(id, s.id), row.films.get(s.id, {})) for s in study.stimuli})

    def take_in(self, definition: Any, action: str = "imported") -> StudyRow:
        """A draft of a definition that came from outside. A film of it is taken over where this server has the same content."""
        study = read(definition)
        here: dict[str, tuple[Path, dict[str, Any]]] = {}
        for row in self.list():
            for name, facts in row.films.items():
                if facts.get("sha256"):
                    here[facts["sha256"]] = (self.film(row.id, name), facts)
        new = self.create(study.json(), action=action)
        return self._with_films(new, {s.id: here[s.sha256] for s in study.stimuli if s.sha256 in here})

    def _with_films(self, row: StudyRow, films: Mapping[str, tuple[Path, dict[str, Any]]]) -> StudyRow:
        """A new study with copies of these films; of its other films it says that they are missing."""
        taken = {}
        for stimulus, (path, facts) in films.items():
            if path.is_file() and facts.get("state") == "ready":
                target = self.film(row.id, stimulus)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, target)
                except OSError:
                    shutil.copyfile(path, target)
                taken[stimulus] = facts
        with self.store.session() as rows:
            row = locked(rows, row.id)
            row.films = taken
            study = Study.read(row.definition)
            stimuli = tuple(
                s if s.id in taken or s.kind == "event" else replace(s, sha256=None, duration_s=None) for s in study.stimuli
            )
            row.definition = replace(study, stimuli=stimuli).json()
        return row

    # --- invitations

    def invitation(self, invitation_id: str) -> Invitation | None:
        """The invitation, whatever its study, if there is one."""
        with self.store.reading() as rows:
            return rows.get(Invitation, invitation_id)

    def invitations(self, id: str) -> Sequence[Invitation]:
        """The invitations of a study, the oldest first."""
        with self.store.reading() as rows:
            wanted = select(Invitation).where(Invitation.study_id == id).order_by(Invitation.created_at, Invitation.id)
            return list(rows.scalars(wanted))

    def known_invitation(self, id: str, invitation_id: str) -> Invitation:
        """An invitation of this study. Raises `ApiError` 404."""
        found = self.invitation(invitation_id)
        if found is None or found.study_id != id:
            raise ApiError(404, "not_found", "There is no such invitation in this study. It may have been erased.")
        return found

    def invite(self, id: str, **values: Any) -> Invitation:
        """A new invitation. 422 for groups that links do not give."""
        with self.store.session() as rows:
            _check_groups(Study.read(locked(rows, id).definition), values.get("groups", {}))
            made = Invitation(study_id=id, **values)
            rows.add(made)
            rows.flush()
            note(rows, id, "operator", "invited", invitation=made.id)
        return made

    def change_invitation(self, id: str, invitation_id: str, **values: Any) -> Invitation:
        """Another label, limit, end or groups; or closes it."""
        self.known_invitation(id, invitation_id)
        with self.store.session() as rows:
            _check_groups(Study.read(locked(rows, id).definition), values.get("groups", {}))
            found = rows.get_one(Invitation, invitation_id)
            for name, value in values.items():
                setattr(found, name, value)
            note(rows, id, "operator", "changed an invitation", invitation=invitation_id, fields=sorted(values))
        return found

    def uninvite(self, id: str, invitation_id: str) -> None:
        """Erases an invitation. Who came with it stays."""
        self.known_invitation(id, invitation_id)
        with self.store.session() as rows:
            rows.execute(delete_rows(Invitation).where(Invitation.id == invitation_id))
            note(rows, id, "operator", "erased an invitation", invitation=invitation_id)

    # --- the log

    def note(self, id: str, who: Who, action: str, **detail: Any) -> None:
        """Writes into the audit log. `detail` must never hold what somebody answered or how a face looked."""
        with self.store.session() as rows:
            note(rows, id, who, action, **detail)

    def saw(self, id: str, what: str) -> None:
        """Notes that the operator looked at something; once for a page that asks again and again."""
        action = f"saw {what}"
        with self.store.reading() as rows:
            seen = select(func.max(AuditEntry.at)).where(AuditEntry.study_id == id, AuditEntry.action == action)
            last = rows.scalar(seen)
        if last is None or abs(now() - last) > SAW_AGAIN_AFTER:
            self.note(id, "operator", action)

    def log(self, id: str, *, most: int = 500) -> Sequence[AuditEntry]:
        """Who did what, the newest first."""
        with self.store.reading() as rows:
            wanted = select(AuditEntry).where(AuditEntry.study_id == id).order_by(AuditEntry.number.desc()).limit(most)
            return list(rows.scalars(wanted))


# --- within a transaction


def locked(rows: Session, id: str) -> StudyRow:
    """The study, which nobody else changes before the transaction ends. Raises `ApiError` 404."""
    row = rows.scalar(select(StudyRow).where(StudyRow.id == id).with_for_update())
    if row is None:
        raise _no_study(id)
    return row


def touch(rows: Session, id: str) -> int:
    """As `Studies.touch`; 0 where there is no such study."""
    change = update(StudyRow).where(StudyRow.id == id).values(version=StudyRow.version + 1, changed_at=now())
    changed = rows.scalar(change.returning(StudyRow.version).execution_options(synchronize_session=False))
    return changed or 0


def note(rows: Session, id: str, who: Who, action: str, **detail: Any) -> None:
    """As `Studies.note`."""
    rows.add(AuditEntry(study_id=id, who=who, action=action, detail=detail))


def left_out(row: StudyRow, until: datetime | None = None) -> dict[str, str]:
    """Who is left out of a study's report, {name: reason}; of one that is kept, who was left out by then."""
    found = {}
    for name, said in row.left_out.items():
        reasons = [reason for at, reason in said if until is None or datetime.fromisoformat(at) <= until]
        if reasons and reasons[-1]:
            found[name] = reasons[-1]
    return found


def forget_left_out(row: StudyRow, gone: Collection[str]) -> None:
    """Of viewers that are erased nothing is known any more, nor why they were left out."""
    row.left_out = {name: said for name, said in row.left_out.items() if name not in gone}


def keep(rows: Session, row: StudyRow, new: Study) -> None:
    """Writes a definition; where its consent text is another, as another version. Where nobody could read the last one, because the
    study has not been open with it, the new text takes its place."""
    last = row.consents[-1] if row.consents else None
    if last is None or last["text"] != dict(new.consent.text):
        unread = last is not None and row.state != "open" and not last.get("offered")
        before = row.consents[:-1] if unread else row.consents
        new = replace(new, consent=replace(new.consent, version=before[-1]["version"] + 1 if before else 1))
        row.consents = [*before, _consent(new) | ({"offered": True} if row.state == "open" else {})]
    row.definition, row.title = new.json(), new.title
    row.version, row.changed_at = row.version + 1, now()
    rows.flush()


def took_part(rows: Session, id: str) -> bool:
    """Whether there is anybody whose data would be broken by another definition."""
    return any(rows.scalar(select(func.count()).select_from(T).where(T.study_id == id)) for T in (Participant, Room))


# --- the definition


def read(definition: Any) -> Study:
    """A definition as it was sent. Raises `ApiError` 422 with what is wrong in it."""
    purpose = definition.get("purpose") if isinstance(definition, Mapping) else None
    try:
        return Study.read(definition)
    except DataError as error:
        refused = isinstance(purpose, str) and purpose in REFUSED
        raise ApiError(422, "refused_purpose" if refused else "invalid", str(error)) from None


def missing(row: StudyRow, study: Study | None = None) -> list[str]:
    """What a study lacks before it can be opened, in plain words."""
    return [lack.what for lack in lacks(row, study)]


def lacks(row: StudyRow, study: Study | None = None) -> list[Lack]:
    """What a study lacks before it can be opened, films that are not ready included."""
    study = study or Study.read(row.definition)
    lacks = study.lacks()
    for stimulus in study.stimuli:
        state = row.films.get(stimulus.id, {}).get("state")
        if stimulus.kind == "film" and state == "converting":
            lacks = [lack for lack in lacks if lack.what != film_of(stimulus)]
            lacks.append(Lack("stimuli", f"{film_of(stimulus)}, which is being made ready"))
    return lacks


def refuse_breaking(old: Study, new: Study) -> None:
    """Raises `ApiError` 409 where a change would break what people took part in."""
    broken = broken_by(old, new)
    if broken:
        words = _and([ANSWERED_UNDER[name] for name in broken])
        raise ApiError(
            409,
            "taken_part",
            f"Somebody has taken part already, so this cannot change any more: {words}. Duplicate the study and change the copy.",
            detail=broken,
        )


def check_films_may_change(row: StudyRow, rows: Session) -> None:
    """Raises `ApiError` 409 where films can be neither added nor taken away."""
    if took_part(rows, row.id):
        raise ApiError(
            409,
            "taken_part",
            "Somebody has taken part already, so the films cannot change any more. Duplicate the study and change the copy.",
            detail=["stimuli"],
        )
    if row.state == "open":
        raise _open_films()


def remove(path: Path) -> None:
    """Removes a file or a folder, whatever is in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _merged(old: Study, part: Mapping[str, Any]) -> dict[str, Any]:
    """The old definition with parts of another. What the server knows of films stays; markers of films that go, go too."""
    merged = old.json() | dict(with_todays_names(part))
    consent = part.get("consent")
    if isinstance(consent, Mapping):
        merged["consent"] = dict(consent) | {"version": old.consent.version}
    stimuli = merged["stimuli"]
    if "stimuli" in part and isinstance(stimuli, list) and all(isinstance(one, Mapping) for one in stimuli):
        merged["stimuli"] = [dict(one) | _facts(old, one) for one in stimuli]
        if "markers" not in part:
            ids = [one.get("id") for one in stimuli]
            merged["markers"] = [marker for marker in merged["markers"] if marker["stimulus"] in ids]
        if "cuts" not in part and not set(merged["cuts"]) <= {one.get("id") for one in stimuli}:
            merged["cuts"] = []
    return merged


def _facts(old: Study, given: Mapping[str, Any]) -> dict[str, Any]:
    known = old.stimulus(given["id"]) if isinstance(given.get("id"), str) else None
    if given.get("kind", "film") == "event":
        return {"file": None, "sha256": None}
    return {name: getattr(known, name) if known and known.kind == "film" else None for name in FILM_FACTS}


def in_step(old: Study, new: Study) -> Study:
    """The new study, whose consent texts that nobody wrote say what is so now."""
    text = {}
    for language in new.languages:
        said = new.consent.text.get(language, "")
        own = said.strip() and said != default_consent(language, old)
        text[language] = said if own else default_consent(language, new)
    return replace(new, consent=replace(new.consent, text=text))


def _fitting(study: Study, title: str) -> Any:
    return in_step(study, replace(study, title=title)).consent


def _films(study: Study) -> set[tuple[str, str]]:
    return {(s.id, s.kind) for s in study.stimuli}


def _consent(study: Study) -> dict[str, Any]:
    return {"version": study.consent.version, "at": now().isoformat(), "text": dict(study.consent.text)}


def link_state(one: Invitation) -> LinkState:
    """Whether somebody could take part by this invitation now, were the study open."""
    if one.closed:
        return "closed"
    if one.ends_at is not None and one.ends_at <= now():
        return "ended"
    if one.one_time and one.used:
        return "used"
    return "full" if one.limit is not None and one.used >= one.limit else "open"


def _check_groups(study: Study, groups: Mapping[str, str]) -> None:
    known = {v.id: [value.id for value in v.values] for v in study.variables if v.by == "link"}
    for name, value in groups.items():
        if name not in known:
            raise ApiError(
                422, "invalid", f"groups: wanted one of {', '.join(known) or 'none'}, which links decide, but got {name[:40]!r}"
            )
        if value not in known[name]:
            raise ApiError(422, "invalid", f"groups: {name}: wanted one of {', '.join(known[name])}, but got {value[:40]!r}")


def _no_study(id: str) -> ApiError:
    return ApiError(404, "not_found", f"There is no study {id[:40]}. It may have been erased.")


def _open_films() -> ApiError:
    return ApiError(409, "open", "The study is open; somebody may be watching. Close it before you change its films.")


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
