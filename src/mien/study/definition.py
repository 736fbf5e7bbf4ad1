"""What a study is: films, consent, questions, groups and settings, as one JSON file that any mien reads.

    study = Study.read(json.loads(Path("study.json").read_text()))
    study.missing()            # what it lacks before anybody can take part
    study.before[0].check(3)   # an answer as it is kept, or DataError

A study that is being made may lack almost everything; what is there must be right. Words for participants are `Words`: one text
per language, {"en": "…", "fr": "…"}; where a language lacks, the study's first one stands in.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote, urlsplit

from mien.errors import DataError
from mien.labels import FERPLUS

FORMAT = "mien-study 1"

Words = Mapping[str, str]
Language = Literal["en", "fr", "de", "tr"]
QuestionKind = Literal["single", "multiple", "scale5", "scale7", "number", "short", "long", "emotions", "liking", "matrix"]

LANGUAGES: dict[str, str] = {"en": "English", "fr": "Français", "de": "Deutsch", "tr": "Türkçe"}
"""The languages of participants' pages, each by its own name."""

PURPOSES: dict[str, str] = {
    "film_test": "Testing a film or series",
    "advertising": "Testing advertising",
    "game": "Testing a game",
    "research": "Research",
    "art": "Art or performance",
    "event": "A live event",
    "accessibility": "Accessibility",
    "personal": "Personal use",
}
"""What a study may be for."""

_AI_ACT = "The EU's AI Act (Regulation (EU) 2024/1689)"
REFUSED: dict[str, tuple[str, str]] = {
    "workplace": (
        "Watching people at work",
        f"{_AI_ACT}, Article 5(1)(f), forbids systems that infer the emotions of people at the workplace.",
    ),
    "education": (
        "Watching pupils or students",
        f"{_AI_ACT}, Article 5(1)(f), forbids systems that infer the emotions of people in education institutions.",
    ),
    "recruiting": (
        "Choosing applicants",
        f"{_AI_ACT} forbids systems that infer emotions at the workplace, Article 5(1)(f), and the Commission's guidelines count "
        "the choice of applicants to it. What a face shows says nothing about who fits a job.",
    ),
    "policing": (
        "Police, borders, security",
        "What a face shows is evidence of nothing: neither of guilt nor of lies nor of intent. "
        f"{_AI_ACT}, Annex III, lists such systems as high-risk, and mien meets none of what it demands of them.",
    ),
    "health": (
        "Diagnosing or treating people",
        "mien is no medical device and was never tested as one; Regulation (EU) 2017/745 demands that of whatever serves diagnosis "
        "or treatment.",
    ),
}
"""What no study may be for: in a few words, and why not."""

KINDS: dict[str, str] = {
    "single": "One of several",
    "multiple": "Some of several",
    "scale5": "Scale of 5 points",
    "scale7": "Scale of 7 points",
    "number": "Number",
    "short": "Short text",
    "long": "Long text",
    "emotions": "How strongly each of eight emotions was felt",
    "liking": "How much it was liked",
    "matrix": "One of several, for each line",
}
"""The kinds of question."""

CHOOSING = ("single", "multiple", "matrix")
"""Kinds whose answers are chosen among options."""

SCALES: dict[str, int] = {"scale5": 5, "scale7": 7, "liking": 7}
"""Kinds that are answered by a whole number from 1 to this."""

EMOTION_MOST = 4
"""An emotion is answered from 0, not at all, to this, very strongly."""

SHORT_LETTERS_MAX, LONG_LETTERS_MAX = 200, 4000
IDENTIFIERS_MAX, IDENTIFIER_LETTERS_MAX = 10, 200
CODE_LETTERS_MAX, ADDRESS_LETTERS_MAX = 100, 2000
NUMBER_MOST = 1e12
"""No number, of a definition or an answer, is larger: means and their spread can be worked out of any."""
TITLE_LETTERS_MAX, TEXT_LETTERS_MAX = 200, 20_000
STIMULI_MAX, QUESTIONS_MAX, OPTIONS_MAX, VARIABLES_MAX, MARKERS_MAX = 50, 200, 100, 20, 500
COLUMNS_MAX = 7
EVERY_S = (0.1, 10.0)
BASELINE_S = (0.0, 60.0)
CURVE_SIGMA_S = (0.0, 30.0)
SIGMA_OF_DURATION = 60
RETENTION_DAYS = (1, 3650)
SMALLEST_GROUP = (1, 1000)
PEOPLE_MAX = 1_000_000
FILM_S_MAX = 24 * 3600.0

One = TypeVar("One")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
RESERVED = ("check", "baseline", "pictures")
"""No film may have one of these as its id: the camera check goes by the first two, and files of participants by the last two."""


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One film, or live event. `file` is the name that a film came with and `sha256` its content's, both None until it is there."""

    id: str
    title: str
    kind: Literal["film", "event"] = "film"
    duration_s: float | None = None
    file: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose."""

    id: str
    title: Words


@dataclass(frozen=True, slots=True)
class Condition:
    """Answers to an earlier question of the kind single or multiple: any of these options."""

    question: str
    options: tuple[str, ...]

    def holds(self, answers: Mapping[str, Any]) -> bool:
        """Whether `answers`, {question: answer}, have one of the options."""
        given = answers.get(self.question)
        return bool(set(self.options).intersection(given if isinstance(given, list) else [given]))


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `options` belong to single, multiple and matrix, and `rows` are a matrix's lines; `low` and `high` name the
    ends of a scale; `min` and `max` bound a number.

    column      what its column in answers.csv is called; None: its id
    screen_out  options of a question before the film, single or multiple: who chooses one of them is not among those looked for
    shown_if    it is asked only of those who answered so; None: of everybody
    new_page    whether it begins another page
    """

    id: str
    kind: QuestionKind
    title: Words = field(default_factory=dict)
    help: Words = field(default_factory=dict)
    required: bool = False
    options: tuple[Option, ...] = ()
    low: Words = field(default_factory=dict)
    high: Words = field(default_factory=dict)
    min: float | None = None
    max: float | None = None
    rows: tuple[Option, ...] = ()
    column: str | None = None
    screen_out: tuple[str, ...] = ()
    shown_if: Condition | None = None
    new_page: bool = False

    def check(self, answer: Any) -> Any:
        """The answer as it is kept; None where there is none and none is needed. Raises `DataError`, which names the question.

        single → an option's id; multiple → a list of them; scale5, scale7, liking → int from 1; number → float; short, long → str;
        emotions → {label: 0 to 4} for all eight labels; matrix → {row's id: option's id} for all rows.
        """
        if answer is None or (isinstance(answer, str) and not answer.strip()) or answer == [] or answer == {}:
            if self.required:
                raise DataError(f"{self._name()}: needs an answer")
            return None
        kept, wanted = _ANSWERS[self.kind](self, answer)
        if kept is None:
            raise DataError(f"{self._name()}: wanted {wanted}, but got {answer!r:.60}")
        return kept

    def fits(self, answer: Any) -> bool:
        """Whether `check` would keep it, as it is kept already."""
        try:
            return answer is not None and _ANSWERS[self.kind](self, answer)[0] is not None
        except TypeError:
            return False

    def _name(self) -> str:
        return next((title for title in self.title.values() if title.strip()), self.id)[:80]

    def _single(self, answer: Any) -> tuple[Any, str]:
        known = [option.id for option in self.options]
        return (answer if isinstance(answer, str) and answer in known else None), f"one of {', '.join(known)}"

    def _multiple(self, answer: Any) -> tuple[Any, str]:
        known = [option.id for option in self.options]
        fits = isinstance(answer, list) and all(isinstance(a, str) and a in known for a in answer)
        kept = [id for id in known if id in answer] if fits else None
        return kept, f"a list of some of {', '.join(known)}"

    def _scale(self, answer: Any) -> tuple[Any, str]:
        most = SCALES[self.kind]
        return _whole(answer, 1, most), f"a whole number from 1 to {most}"

    def _number(self, answer: Any) -> tuple[Any, str]:
        least, most = -NUMBER_MOST if self.min is None else self.min, NUMBER_MOST if self.max is None else self.max
        fits = _is_number(answer) and least <= answer <= most
        bounds = [f"{word} {bound:g}" for word, bound in (("from", self.min), ("to", self.max)) if bound is not None]
        return (float(answer) if fits else None), " ".join(["a number", *bounds])

    def _text(self, answer: Any) -> tuple[Any, str]:
        most = SHORT_LETTERS_MAX if self.kind == "short" else LONG_LETTERS_MAX
        fits = isinstance(answer, str) and len(answer.strip()) <= most and can_be_stored(answer)
        return (answer.strip() if fits else None), f"a text of at most {most} letters"

    def _emotions(self, answer: Any) -> tuple[Any, str]:
        wanted = f"a whole number from 0 to {EMOTION_MOST} for each of {', '.join(FERPLUS)}"
        if not isinstance(answer, Mapping) or set(answer) != set(FERPLUS):
            return None, wanted
        kept = {label: _whole(answer[label], 0, EMOTION_MOST) for label in FERPLUS}
        return (None if None in kept.values() else kept), wanted

    def _matrix(self, answer: Any) -> tuple[Any, str]:
        known, rows = [option.id for option in self.options], [row.id for row in self.rows]
        fits = isinstance(answer, Mapping) and set(answer) == set(rows)
        kept = {row: answer[row] for row in rows} if fits else {}
        fits = fits and all(isinstance(chosen, str) and chosen in known for chosen in kept.values())
        return (kept if fits else None), f"one of {', '.join(known)} for each of {', '.join(rows)}"


_ANSWERS: dict[str, Callable[[Question, Any], tuple[Any, str]]] = {
    "single": Question._single,
    "multiple": Question._multiple,
    "scale5": Question._scale,
    "scale7": Question._scale,
    "liking": Question._scale,
    "number": Question._number,
    "short": Question._text,
    "long": Question._text,
    "emotions": Question._emotions,
    "matrix": Question._matrix,
}


def asked(questions: Iterable[Question], answers: Mapping[str, Any]) -> list[Question]:
    """Those that are asked of somebody with these answers, {question: answer}; an answer to one that is not counts nowhere."""
    found: list[Question] = []
    given = dict(answers)
    for question in questions:
        if question.shown_if is None or question.shown_if.holds(given):
            found.append(question)
        else:
            given.pop(question.id, None)
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """One group of a variable; `most` is how many people of it take part, None: any number."""

    id: str
    title: str
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """Groups of participants, such as age bands: by the answer to a single-choice question, whose options are then the groups, or
    by the link with which somebody came."""

    id: str
    title: str
    by: Literal["question", "link"] = "link"
    question: str | None = None
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment of a film, or a span where it has an end, that the operator wants to know about."""

    id: str
    stimulus: str
    time_s: float
    end_s: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What participants agree to. The version rises with each change of the text."""

    version: int = 1
    text: Words = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """What people are given where taking part ends: a code to hand in elsewhere, and an address to go back to. In the address
    `{code}` and the names of identifiers in braces are filled in."""

    code: str = ""
    address: str = ""


END_NAMES = ("finished", "screened_out", "withdrawn")
"""How taking part ends: at the end; for who is not looked for, or of whose group enough are there; for who left or withdrew."""


@dataclass(frozen=True, slots=True)
class Recruiting:
    """How people come from elsewhere and go back. `identifiers` are the names of parameters of the address by which they come; they
    are kept of those who agree to a text in which the names stand."""

    identifiers: tuple[str, ...] = ()
    finished: End = field(default_factory=End)
    screened_out: End = field(default_factory=End)
    withdrawn: End = field(default_factory=End)

    def end(self, name: str, identifiers: Mapping[str, str]) -> End:
        """One of `END_NAMES`, its address filled in; what is not known of the person is left empty there."""
        found: End = getattr(self, name)
        given = {"code": found.code, **identifiers}
        return replace(found, address=_PLACEHOLDER.sub(lambda part: quote(given.get(part[1], ""), safe=""), found.address))

    def kept(self, given: Mapping[str, str], text: str) -> dict[str, str]:
        """Of the parameters that somebody came with, those that are kept: the text that the person agreed to names them."""
        return {name: given[name][:IDENTIFIER_LETTERS_MAX] for name in self.identifiers if given.get(name) and is_named(name, text)}


def is_named(name: str, text: str) -> bool:
    """Whether the name of a parameter stands in a text as a word of its own: `id` does not in "did"."""
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None


@dataclass(frozen=True, slots=True)
class Lack:
    """Something without which nobody can take part: the field of `Study` it belongs to, and what it is in plain words."""

    field: str
    what: str


def film_of(stimulus: Stimulus) -> str:
    """A film that is not there yet, in plain words."""
    return f"the film of “{stimulus.title or stimulus.id}”"


def drawn_sigma_s(curve_sigma_s: float, duration_s: float) -> float:
    """With which standard deviation, in seconds, curves of a stimulus of so many seconds are smoothed when they are drawn: what the
    study says, and of a short one no more than a sixtieth of it, or a spot of 20 s would be one bump."""
    return round(min(curve_sigma_s, duration_s / SIGMA_OF_DURATION), 2)


@dataclass(frozen=True, slots=True)
class Study:
    """A whole study. `every_s` is how often a face is looked at, `baseline_s` how long before the first film, both in seconds;
    `smallest_group` is the fewest viewers of whom anything is shown. Curves are drawn smoothed by a Gaussian in time whose
    standard deviation is `curve_sigma_s` seconds at most: see `drawn_sigma_s`. `cuts` are the ids of two films that are versions
    of one, which the report sets beside each other; or none. `cuts_shown` says whether everybody watches both of them or one; which
    one, or which first, is dealt to each: see `mien.study.dealing`."""

    title: str = ""
    about: Words = field(default_factory=dict)
    purpose: str | None = None
    contact: str = ""
    languages: tuple[str, ...] = ("en",)
    stimuli: tuple[Stimulus, ...] = ()
    order: Literal["fixed", "random"] = "fixed"
    consent: Consent = field(default_factory=Consent)
    before: tuple[Question, ...] = ()
    after: tuple[Question, ...] = ()
    variables: tuple[Variable, ...] = ()
    every_s: float = 0.5
    baseline_s: float = 5.0
    keep: Literal["scores", "pictures"] = "scores"
    retention_days: int = 90
    smallest_group: int = 5
    curve_sigma_s: float = 2.0
    markers: tuple[Marker, ...] = ()
    cuts: tuple[str, ...] = ()
    cuts_shown: Literal["both", "one"] = "both"
    recruiting: Recruiting = field(default_factory=Recruiting)

    @classmethod
    def read(cls, given: Any) -> "Study":
        """A study from its JSON; what is not given is as in a new one. Raises `DataError`, which names the field and the remedy."""
        study = _study(given)
        _check_references(study)
        return study

    def json(self) -> dict[str, Any]:
        """The study as `read` takes it, whole."""
        return {"format": FORMAT} | cast(dict[str, Any], _plain(self))

    def say(self, words: Words, language: str = "") -> str:
        """A text in `language`, else in the study's first language, else in any."""
        return words.get(language) or words.get(self.languages[0]) or next((text for text in words.values() if text), "")

    def question(self, id: str) -> Question | None:
        """The question of this id, asked before or after."""
        return next((question for question in (*self.before, *self.after) if question.id == id), None)

    def stimulus(self, id: str) -> Stimulus | None:
        """The film or event of this id."""
        return next((stimulus for stimulus in self.stimuli if stimulus.id == id), None)

    @property
    def one_of_cuts(self) -> frozenset[str]:
        """The two cuts of which each person watches one; none where that is not so."""
        return frozenset(self.cuts if self.cuts_shown == "one" else ())

    @property
    def watched_by_one(self) -> tuple[Stimulus, ...]:
        """What one person watches, as far as anybody knows before it is dealt: of two cuts the longer."""
        shorter = sorted(self.one_of_cuts, key=lambda id: (getattr(self.stimulus(id), "duration_s", None) or 0.0, id))[:1]
        return tuple(stimulus for stimulus in self.stimuli if stimulus.id not in shorter)

    def groups(self, answers: Mapping[str, Any], by_link: Mapping[str, str]) -> dict[str, str]:
        """Which group somebody is in, {variable: value}: by their `answers`, {question: answer}, and what their link says."""
        found = {}
        for variable in self.variables:
            value = answers.get(variable.question or "") if variable.by == "question" else by_link.get(variable.id)
            if value in {known.id for known in variable.values}:
                found[variable.id] = value
        return found

    def with_default_consent(self) -> "Study":
        """The same with the default text in each language that has none yet, and without texts of other languages."""
        text = {language: self.consent.text.get(language) or default_consent(language, self) for language in self.languages}
        return replace(self, consent=replace(self.consent, text=text))

    def missing(self) -> list[str]:
        """What it lacks before anybody can take part, in plain words; empty where it is whole."""
        return [lack.what for lack in self.lacks()]

    def lacks(self) -> list[Lack]:
        """As `missing`, each with the field in which it is to be put."""
        first = self.languages[0]
        lacks = [
            (Lack("title", "a title"), not self.title.strip()),
            (Lack("purpose", "what it is for"), self.purpose is None),
            (Lack("contact", "who runs it, and how to reach them"), not self.contact.strip()),
            (Lack("stimuli", "a film or a live event"), not self.stimuli),
        ]
        lacks += [(Lack("stimuli", film_of(s)), s.kind == "film" and not s.sha256) for s in self.stimuli]
        lacks += [
            (Lack("consent", f"the consent text in {LANGUAGES[language]}"), not self.consent.text.get(language, "").strip())
            for language in self.languages
        ]
        for language in self.languages:
            text = self.consent.text.get(language, "")
            unsaid = [name for name in self.recruiting.identifiers if not is_named(name, text)]
            words = f"a consent text in {LANGUAGES[language]} that says that {', '.join(unsaid)} is kept"
            lacks.append((Lack("consent", words), bool(unsaid and text.strip())))
        for part, questions in (("before", self.before), ("after", self.after)):
            for number, question in enumerate(questions, start=1):
                name, last = f"question {number} {part} the film", f"in {LANGUAGES[first]}"
                lacks.append((Lack(part, f"the words of {name} {last}"), not question.title.get(first, "").strip()))
                if question.kind in CHOOSING:
                    lacks.append((Lack(part, f"two options or more of {name}"), len(question.options) < 2))
                    wordless = [o for o in question.options if not o.title.get(first, "").strip()]
                    lacks.append((Lack(part, f"the words of all options of {name} {last}"), bool(wordless)))
                if question.kind == "matrix":
                    lacks.append((Lack(part, f"a line or more of {name}"), not question.rows))
                    wordless = [row for row in question.rows if not row.title.get(first, "").strip()]
                    lacks.append((Lack(part, f"the words of all lines of {name} {last}"), bool(wordless)))
        for number, variable in enumerate(self.variables, start=1):
            called = f"“{variable.title}”" if variable.title.strip() else f"grouping {number}, which has no name yet"
            lacks.append((Lack("variables", f"the groups of {called}"), not variable.values))
            nameless = variable.by == "link" and any(not value.title.strip() for value in variable.values)
            lacks.append((Lack("variables", f"the names of all groups of {called}"), nameless))
        return [lack for lack, lacking in lacks if lacking]


ANSWERED_UNDER: dict[str, str] = {
    "purpose": "what the study is for",
    "stimuli": "the films",
    "order": "the order of the films",
    "before": "the questions before",
    "after": "the questions after",
    "every_s": "how often to look",
    "baseline_s": "how long the baseline takes",
    "keep": "what is kept",
    "retention_days": "how long it is kept",
    "smallest_group": "the smallest group shown",
    "languages": "the languages",
    "variables": "the groups",
    "cuts": "the two cuts and who watches them",
}
"""Fields under which people took part, in plain words."""


def broken_by(old: Study, new: Study) -> list[str]:
    """The fields of `ANSWERED_UNDER` whose change would break what people agreed to or answered under; empty where there is none.

    What only gives people more stays free: a shorter retention, a larger smallest group, one more language, new groups; and so do
    the titles of films, which are not what was watched.
    """

    def watched(study: Study) -> list[tuple[str, str, str | None]]:
        return [(s.id, s.kind, s.sha256) for s in study.stimuli]

    def gone(ids: Callable[[Study], Iterable[Any]]) -> bool:
        return not set(ids(old)) <= set(ids(new))

    def asked(study: Study) -> set[tuple[Any, ...]]:
        return {(v.id, v.by, v.question, *sorted(value.id for value in v.values)) for v in study.variables if v.by == "link"}

    broken = {
        "stimuli": watched(old) != watched(new),
        "retention_days": new.retention_days > old.retention_days,
        "smallest_group": new.smallest_group < old.smallest_group,
        "languages": gone(lambda study: study.languages),
        "variables": gone(asked),
        "cuts": old.one_of_cuts != new.one_of_cuts,
    }
    broken |= {name: getattr(old, name) != getattr(new, name) for name in ANSWERED_UNDER if name not in broken}
    return [name for name in ANSWERED_UNDER if broken[name]]


# --- reading


def with_todays_names(given: Any) -> Any:
    """A definition, or a part of one, whose fields are called as they are now: `curve_sigma_s` was `smoothing_s` once."""
    if not isinstance(given, Mapping) or "smoothing_s" not in given or "curve_sigma_s" in given:
        return given
    return {("curve_sigma_s" if name == "smoothing_s" else name): value for name, value in given.items()}


def _study(given: Any) -> Study:
    known = {"format", *(f.name for f in fields(Study))}
    read = _Fields(with_todays_names(given), "", known)
    if read.given.get("format", FORMAT) != FORMAT:
        raise DataError(f"format: wanted {FORMAT!r}, but got {read.given['format']!r:.60}; made by another version of mien?")
    new = Study()
    languages = read.languages(new.languages)
    before, after = read.many("before", QUESTIONS_MAX, _question), read.many("after", QUESTIONS_MAX, _question)
    purpose = read.given.get("purpose")
    if isinstance(purpose, str) and purpose in REFUSED:
        raise DataError(f"purpose: no study can be for this. {REFUSED[purpose][1]} mien does not do it.")
    return Study(
        title=read.text("title"),
        about=read.words("about"),
        purpose=None if purpose in (None, "") else read.one_of("purpose", PURPOSES),
        contact=read.text("contact"),
        languages=languages,
        stimuli=read.many("stimuli", STIMULI_MAX, _stimulus),
        order=cast(Any, read.one_of("order", ("fixed", "random"), new.order)),
        consent=_consent(read.given.get("consent") or {}, "consent"),
        before=before,
        after=after,
        variables=tuple(_in_step(v, (*before, *after), languages[0]) for v in read.many("variables", VARIABLES_MAX, _variable)),
        every_s=read.number("every_s", EVERY_S, "seconds", new.every_s),
        baseline_s=read.number("baseline_s", BASELINE_S, "seconds", new.baseline_s),
        keep=cast(Any, read.one_of("keep", ("scores", "pictures"), new.keep)),
        retention_days=read.whole("retention_days", RETENTION_DAYS, new.retention_days),
        smallest_group=read.whole("smallest_group", SMALLEST_GROUP, new.smallest_group),
        curve_sigma_s=read.number("curve_sigma_s", CURVE_SIGMA_S, "seconds", new.curve_sigma_s),
        markers=read.many("markers", MARKERS_MAX, _marker),
        cuts=read.pair("cuts"),
        cuts_shown=cast(Any, read.one_of("cuts_shown", ("both", "one"), new.cuts_shown)),
        recruiting=_recruiting(read.given.get("recruiting") or {}, "recruiting"),
    )


class _Fields:
    """The fields of one JSON object. `where` is its place, as in `before[2].options[0]`; errors name it."""

    def __init__(self, given: Any, where: str, known: Iterable[str]) -> None:
        if not isinstance(given, Mapping):
            raise DataError(f"{where or 'the study'}: wanted a JSON object, but got {given!r:.60}")
        self.given, self.where = given, where
        known = list(known)
        for name in given:
            if name not in known:
                raise DataError(f"{self.at(str(name)[:60])}: is not known here; known: {', '.join(sorted(known))}")

    def at(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def wrong(self, name: str, wanted: str) -> DataError:
        return DataError(f"{self.at(name)}: wanted {wanted}, but got {self.given.get(name)!r:.60}")

    def id(self, reserved: Iterable[str] = ()) -> str:
        value = self.given.get("id")
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self.wrong("id", "1 to 40 small letters, digits, - and _, of which the first is a letter or digit")
        if value in reserved:
            raise self.wrong("id", f"another word than {', '.join(reserved)}, which mean something else")
        return value

    def text(self, name: str, most: int = TITLE_LETTERS_MAX) -> str:
        value = self.given.get(name, "")
        if not isinstance(value, str) or len(value) > most or not can_be_stored(value):
            raise self.wrong(name, f"a text of at most {most} letters")
        return value.strip()

    def optional_text(self, name: str) -> str | None:
        return None if self.given.get(name) is None else self.text(name)

    def words(self, name: str, most: int = TEXT_LETTERS_MAX) -> dict[str, str]:
        value = self.given.get(name) or {}
        if not isinstance(value, Mapping):
            raise self.wrong(name, 'a text for each language, as {"en": "…"}')
        for language, text in value.items():
            if language not in LANGUAGES:
                raise DataError(f"{self.at(name)}: wanted texts in {', '.join(LANGUAGES)}, but got one in {language!r:.60}")
            if not isinstance(text, str) or len(text) > most or not can_be_stored(text):
                raise DataError(f"{self.at(name)}.{language}: wanted a text of at most {most} letters, but got {text!r:.60}")
        return {language: value[language] for language in LANGUAGES if language in value}

    def one_of(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        value, known = self.given.get(name, default), list(known)
        if not isinstance(value, str) or value not in known:
            raise self.wrong(name, f"one of {', '.join(known)}")
        return value

    def number(self, name: str, span: tuple[float, float], unit: str, default: float) -> float:
        value = self.given.get(name, default)
        if not _is_number(value) or not span[0] <= value <= span[1]:
            raise self.wrong(name, f"a number of {unit} from {span[0]:g} to {span[1]:g}")
        return float(value)

    def optional_number(self, name: str, span: tuple[float, float] = (-NUMBER_MOST, NUMBER_MOST)) -> float | None:
        return None if self.given.get(name) is None else self.number(name, span, "any kind" if span[0] < 0 else "seconds", 0.0)

    def whole(self, name: str, span: tuple[int, int], default: int) -> int:
        value = _whole(self.given.get(name, default), *span)
        if value is None:
            raise self.wrong(name, f"a whole number from {span[0]} to {span[1]}")
        return value

    def switch(self, name: str) -> bool:
        value = self.given.get(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def languages(self, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.given.get("languages", default)
        right = isinstance(value, list | tuple) and value and all(isinstance(one, str) and one in LANGUAGES for one in value)
        if not right or len(set(value)) < len(value):
            raise self.wrong("languages", f"a list of one or more of {', '.join(LANGUAGES)}, each once")
        return tuple(value)

    def pair(self, name: str) -> tuple[str, ...]:
        """Two different ids, or none."""
        value = self.given.get(name) or []
        right = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        if not right or len(value) not in (0, 2) or len(set(value)) < len(value):
            raise self.wrong(name, "a list of the ids of two films, or an empty one")
        return tuple(value)

    def names(self, name: str, known: Sequence[str] | None, most: int = OPTIONS_MAX) -> tuple[str, ...]:
        """Different short texts; where `known` are given, some of these."""
        value = self.given.get(name) or []
        right = isinstance(value, list | tuple) and len(value) <= most and all(isinstance(one, str) for one in value)
        if not right or len(set(value)) < len(value) or not all(0 < len(one) <= 60 and can_be_stored(one) for one in value):
            raise self.wrong(name, f"a list of at most {most} names, each once")
        if known is not None and not set(value) <= set(known):
            raise self.wrong(name, f"some of {', '.join(known)}" if known else "nothing, for this kind of question")
        return tuple(value)

    def many(self, name: str, most: int, read: Callable[[Any, str], One]) -> tuple[One, ...]:
        """A list of things, whose ids must differ."""
        value = self.given.get(name) or []
        if not isinstance(value, list | tuple) or len(value) > most:
            raise self.wrong(name, f"a list of at most {most}")
        found = tuple(read(one, f"{self.at(name)}[{number}]") for number, one in enumerate(value))
        ids = [cast(Any, one).id for one in found]
        for id in ids:
            if ids.count(id) > 1:
                raise DataError(f"{self.at(name)}: wanted each id once, but {id!r} is there {ids.count(id)} times")
        return found


def _stimulus(given: Any, where: str) -> Stimulus:
    read = _Fields(given, where, (f.name for f in fields(Stimulus)))
    sha256 = read.optional_text("sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise read.wrong("sha256", "64 hexadecimal digits")
    return Stimulus(
        id=read.id(RESERVED),
        title=read.text("title"),
        kind=cast(Any, read.one_of("kind", ("film", "event"), "film")),
        duration_s=read.optional_number("duration_s", (0.0, FILM_S_MAX)),
        file=read.optional_text("file"),
        sha256=sha256,
    )


def _option(given: Any, where: str) -> Option:
    read = _Fields(given, where, ("id", "title"))
    return Option(id=read.id(), title=read.words("title", 1000))


def _question(given: Any, where: str) -> Question:
    read = _Fields(given, where, (f.name for f in fields(Question)))
    kind = read.one_of("kind", KINDS)
    options, rows = read.many("options", OPTIONS_MAX, _option), read.many("rows", OPTIONS_MAX, _option)
    if options and kind not in CHOOSING:
        raise DataError(f"{read.at('options')}: only questions of the kinds {', '.join(CHOOSING)} have options; leave them out")
    if kind == "matrix" and len(options) > COLUMNS_MAX:
        raise read.wrong("options", f"at most {COLUMNS_MAX} for a matrix, which has to fit a phone")
    if rows and kind != "matrix":
        raise DataError(f"{read.at('rows')}: only questions of the kind matrix have rows; leave them out")
    column = read.optional_text("column") or None
    if column is not None and not _COLUMN.fullmatch(column):
        raise read.wrong("column", "a name of at most 40 letters, digits and _ that begins with a letter")
    screen_out = read.names("screen_out", [option.id for option in options] if kind in ("single", "multiple") else [])
    least, most = read.optional_number("min"), read.optional_number("max")
    if least is not None and most is not None and least > most:
        raise read.wrong("min", f"at most max, which is {most:g}")
    return Question(
        id=read.id(),
        kind=cast(Any, kind),
        title=read.words("title", 2000),
        help=read.words("help", 2000),
        required=read.switch("required"),
        options=options,
        low=read.words("low", 200),
        high=read.words("high", 200),
        min=least,
        max=most,
        rows=rows,
        column=column,
        screen_out=screen_out,
        shown_if=None if read.given.get("shown_if") is None else _condition(read.given["shown_if"], read.at("shown_if")),
        new_page=read.switch("new_page"),
    )


def _condition(given: Any, where: str) -> Condition:
    read = _Fields(given, where, ("question", "options"))
    return Condition(question=read.text("question"), options=read.names("options", None))


def _end(given: Any, where: str) -> End:
    read = _Fields(given, where, ("code", "address"))
    address = read.text("address", ADDRESS_LETTERS_MAX)
    if address and not _leads_somewhere(address):
        raise read.wrong(
            "address", "an address that begins with https:// or http:// and a server's name, nothing filled in before its path"
        )
    return End(code=read.text("code", CODE_LETTERS_MAX), address=address)


def _leads_somewhere(address: str) -> bool:
    try:
        parts = urlsplit(_PLACEHOLDER.sub("x", address))
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x1f\"<>\\]", address):
        return False
    return "{" not in re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]  # whoever comes must not say where to


def _recruiting(given: Any, where: str) -> Recruiting:
    read = _Fields(given, where, ("identifiers", *END_NAMES))
    names = read.names("identifiers", None, IDENTIFIERS_MAX)
    for name in names:
        if not _PARAMETER.fullmatch(name) or name == "code":
            raise read.wrong("identifiers", "names of parameters such as PROLIFIC_PID: letters, digits, _, . and -")
    ends = {name: _end(read.given.get(name) or {}, read.at(name)) for name in END_NAMES}
    for name, end in ends.items():
        for part in _PLACEHOLDER.findall(end.address):
            if part not in ("code", *names):
                known = ", ".join(f"{{{one}}}" for one in ("code", *names))
                raise DataError(f"{read.at(name)}.address: {{{part[:40]}}} cannot be filled in; known: {known}")
    return Recruiting(identifiers=names, **ends)


def _value(given: Any, where: str) -> Value:
    read = _Fields(given, where, ("id", "title", "most"))
    most = None if read.given.get("most") is None else read.whole("most", (1, PEOPLE_MAX), 1)
    return Value(id=read.id(), title=read.text("title"), most=most)


def _variable(given: Any, where: str) -> Variable:
    read = _Fields(given, where, (f.name for f in fields(Variable)))
    return Variable(
        id=read.id(),
        title=read.text("title"),
        by=cast(Any, read.one_of("by", ("question", "link"), "link")),
        question=read.optional_text("question"),
        values=read.many("values", OPTIONS_MAX, _value),
    )


def _marker(given: Any, where: str) -> Marker:
    read = _Fields(given, where, (f.name for f in fields(Marker)))
    time_s = read.number("time_s", (0.0, FILM_S_MAX), "seconds", -1.0)
    end_s = read.optional_number("end_s", (0.0, FILM_S_MAX))
    if end_s is not None and end_s <= time_s:
        raise read.wrong("end_s", f"more than time_s, which is {time_s:g}")
    return Marker(id=read.id(), stimulus=read.text("stimulus"), time_s=time_s, end_s=end_s, label=read.text("label"))


def _consent(given: Any, where: str) -> Consent:
    read = _Fields(given, where, ("version", "text"))
    return Consent(version=read.whole("version", (1, 1_000_000), 1), text=read.words("text"))


def _in_step(variable: Variable, questions: Iterable[Question], language: str) -> Variable:
    """A variable by question with the options of its question as its groups; a title that was given to one stays."""
    question = next((one for one in questions if one.id == variable.question), None)
    if variable.by == "link" or question is None:
        return variable
    given = {value.id: value.title for value in variable.values if value.title}
    most = {value.id: value.most for value in variable.values}
    titles = {option.id: option.title.get(language) or next(iter(option.title.values()), "") for option in question.options}
    values = tuple(Value(id, given.get(id) or title[:TITLE_LETTERS_MAX] or id, most.get(id)) for id, title in titles.items())
    return replace(variable, values=values)


def _check_references(study: Study) -> None:
    """Raises `DataError` where one part names another that is not there, or two questions have one id."""
    ids = [question.id for question in (*study.before, *study.after)]
    for id in ids:
        if ids.count(id) > 1:
            raise DataError(f"after: the question {id!r} is asked before, too; give one of them another id")
    _check_questions(study)
    for number, variable in enumerate(study.variables):
        where = f"variables[{number}]"
        if variable.by == "link":
            continue
        question = study.question(variable.question or "")
        if question is None or question.kind != "single":
            raise DataError(
                f"{where}.question: wanted the id of a question of the kind single, but got {variable.question!r}; "
                "groups come from what is chosen there"
            )
    for id in study.cuts:
        film = study.stimulus(id)
        if film is None or film.kind != "film":
            raise DataError(f"cuts: wanted the ids of two films that are versions of one, but got {id!r}")
    for number, marker in enumerate(study.markers):
        if study.stimulus(marker.stimulus) is None:
            known = ", ".join(s.id for s in study.stimuli) or "none yet"
            raise DataError(f"markers[{number}].stimulus: wanted the id of a film, but got {marker.stimulus!r}; there are {known}")


def _check_questions(study: Study) -> None:
    """Raises `DataError` where a question hangs on one that does not come before it, screens out too late, or shares a column."""
    before: dict[str, Question] = {}
    columns = [question.column or question.id for question in (*study.before, *study.after)]
    for part, questions in (("before", study.before), ("after", study.after)):
        for number, question in enumerate(questions):
            where = f"{part}[{number}]"
            if columns.count(question.column or question.id) > 1:
                raise DataError(
                    f"{where}.column: two questions have the column {question.column or question.id!r}; name one otherwise"
                )
            if question.screen_out and part == "after":
                raise DataError(f"{where}.screen_out: after the film nobody can be screened out; ask it before, or leave it out")
            if question.shown_if is not None:
                on = before.get(question.shown_if.question)
                if on is None or on.kind not in ("single", "multiple"):
                    raise DataError(
                        f"{where}.shown_if.question: wanted the id of an earlier question of the kind single or multiple, but got "
                        f"{question.shown_if.question!r:.60}"
                    )
                known = [option.id for option in on.options]
                if not question.shown_if.options or not set(question.shown_if.options) <= set(known):
                    raise DataError(f"{where}.shown_if.options: wanted one or more of {', '.join(known)}")
            before[question.id] = question


def _plain(thing: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON has them."""
    if isinstance(thing, tuple):
        return [_plain(one) for one in thing]
    if isinstance(thing, Mapping):
        return {name: _plain(one) for name, one in thing.items()}
    if hasattr(thing, "__dataclass_fields__"):
        return {f.name: _plain(getattr(thing, f.name)) for f in fields(thing)}
    return thing


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= NUMBER_MOST


def _whole(value: Any, least: int, most: int) -> int | None:
    """The whole number, or None where it is none or not within."""
    if not _is_number(value) or value != int(value) or not least <= value <= most:
        return None
    return int(value)


def can_be_stored(text: str) -> bool:
    """Databases keep neither NUL nor halves of letters."""
    return "\0" not in text and not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


# --- the consent text that a new study begins with


def default_consent(language: str, study: Study) -> str:
    """What participants of `study` are asked to agree to, in plain words: what is done, measured and kept, for how long, and what
    they can do about it. Paragraphs are divided by empty lines. Raises `ValueError` for a language that is none of `LANGUAGES`."""
    if language not in LANGUAGES:
        raise ValueError(f"wanted one of {', '.join(LANGUAGES)}, but got {language!r}")
    words = _CONSENT[language]
    text = Path(__file__).with_name("consent").joinpath(f"{language}.txt").read_text(encoding="utf-8")
    watched = study.watched_by_one
    films = [s for s in watched if s.kind == "film"]
    what = "event" if len(films) < len(watched) else "film" if len(films) <= 1 else "films"
    minutes = sum(s.duration_s or 0.0 for s in watched) / 60
    facts = {
        "title": study.title.strip() or "…",
        "contact": study.contact.strip().rstrip(".") or "…",
        "what": words[what].format(films=len(films)),
        "minutes": words["minutes"].format(minutes=max(1, round(minutes))) if minutes else "",
        "questions": words["questions"] if study.before or study.after else "",
        "often": how_often(language, study.every_s),
        "kept": words[study.keep],
        "days": study.retention_days,
        "group": study.smallest_group,
        "apart": words["apart"].format(names=", ".join(study.recruiting.identifiers)) if study.recruiting.identifiers else "",
    }
    return "\n\n".join(paragraph.format(**facts) for paragraph in text.strip().split("\n\n"))


def how_often(language: str, every_s: float) -> str:
    """How often a face is looked at, in words: "about 2 times a second", "etwa alle 3 Sekunden"."""
    words = _CONSENT[language]

    def number(value: float) -> str:
        return f"{value:.1f}".removesuffix(".0").replace(".", "." if language == "en" else ",")

    if every_s == 1:
        return words["once"]
    return words["times"].format(times=number(1 / every_s)) if every_s < 1 else words["every"].format(seconds=number(every_s))


_CONSENT: dict[str, dict[str, str]] = {
    "en": {
        "film": "a film",
        "films": "{films} films",
        "event": "a live event",
        "minutes": ", about {minutes} min",
        "questions": " You also answer some questions.",
        "once": "once a second",
        "times": "about {times} times a second",
        "every": "about every {seconds} seconds",
        "scores": "Only the numbers and your answers are kept. The pictures are not kept: each is forgotten as soon as it has been "
        "read.",
        "pictures": "The numbers and your answers are kept. The pictures are kept only if you allow that, too; you can take part "
        "without it, and then each is forgotten as soon as it has been read.",
        "apart": " Kept apart from the numbers and answers, in no report, and erased with them: what the address by which"
        " you came says of you ({names}), so that those who invited you learn that you took part.",
    },
    "fr": {
        "film": "un film",
        "films": "{films} films",
        "event": "un événement en direct",
        "minutes": ", environ {minutes} min",
        "questions": " Vous répondez aussi à quelques questions.",
        "once": "une fois par seconde",
        "times": "environ {times} fois par seconde",
        "every": "environ toutes les {seconds} secondes",
        "scores": "Seuls les chiffres et vos réponses sont conservés. Les images ne le sont pas : chacune est oubliée dès qu’elle "
        "a été lue.",
        "pictures": "Les chiffres et vos réponses sont conservés. Les images ne le sont que si vous l’autorisez aussi ; vous "
        "pouvez participer sans cela, et chacune est alors oubliée dès qu’elle a été lue.",
        "apart": " Conservé à part des chiffres et des réponses, dans aucun rapport, et effacé avec eux : ce que l’adresse"
        " par laquelle vous êtes venu dit de vous ({names}), pour que ceux qui vous ont invité sachent que vous"
        " avez participé.",
    },
    "de": {
        "film": "einen Film an",
        "films": "{films} Filme an",
        "event": "eine Live-Veranstaltung an",
        "minutes": ", etwa {minutes} min",
        "questions": " Außerdem beantworten Sie einige Fragen.",
        "once": "einmal in der Sekunde",
        "times": "etwa {times}-mal in der Sekunde",
        "every": "etwa alle {seconds} Sekunden",
        "scores": "Nur die Zahlen und Ihre Antworten werden aufbewahrt. Die Bilder nicht: Jedes wird vergessen, sobald es gelesen "
        "ist.",
        "pictures": "Die Zahlen und Ihre Antworten werden aufbewahrt. Die Bilder nur, wenn Sie auch das erlauben; Sie können ohne "
        "das teilnehmen, und dann wird jedes vergessen, sobald es gelesen ist.",
        "apart": " Getrennt von den Zahlen und Antworten, in keinem Bericht, und mit ihnen gelöscht: was die Adresse, über"
        " die Sie kamen, über Sie sagt ({names}), damit die, die Sie eingeladen haben, erfahren, dass Sie"
        " teilgenommen haben.",
    },
    "tr": {
        "film": "bir film",
        "films": "{films} film",
        "event": "canlı bir etkinlik",
        "minutes": " (yaklaşık {minutes} dk)",
        "questions": " Ayrıca birkaç soruyu yanıtlarsınız.",
        "once": "saniyede bir kez",
        "times": "saniyede yaklaşık {times} kez",
        "every": "yaklaşık {seconds} saniyede bir",
        "scores": "Yalnızca sayılar ve yanıtlarınız saklanır. Görüntüler saklanmaz: her biri okunur okunmaz silinir.",
        "pictures": "Sayılar ve yanıtlarınız saklanır. Görüntüler yalnızca buna da izin verirseniz saklanır; bu izni vermeden de "
        "katılabilirsiniz, o zaman her görüntü okunur okunmaz silinir.",
        "apart": " Sayılardan ve yanıtlardan ayrı saklanan, hiçbir raporda yer almayan ve onlarla birlikte silinen bilgi:"
        " geldiğiniz adresin sizin hakkınızda söylediği ({names}); böylece sizi davet edenler katıldığınızı"
        " öğrenir.",
    },
}
"""The words that are put into the texts of consent/*.txt, where one line is one paragraph."""
