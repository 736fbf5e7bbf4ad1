"""What a study is: read and written, answers checked, what it lacks, what cannot change any more, the consent text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.labels import FERPLUS
from mien.study.definition import ANSWERED_UNDER, KINDS, LANGUAGES, PURPOSES, REFUSED, Question, Study, broken_by, default_consent

SHA = "0123456789abcdef" * 4


def definition(**changed: Any) -> dict[str, Any]:
    """A whole study with something of everything."""
    whole: dict[str, Any] = {
        "format": "mien-study 1",
        "title": "Night train",
        "about": {"en": "A short film.", "fr": "Un court métrage."},
        "purpose": "film_test",
        "contact": "Ada Example, ada@example.org",
        "languages": ["en", "fr"],
        "stimuli": [
            {"id": "s1", "title": "First cut", "kind": "film", "duration_s": 61.0, "file": "a.mov", "sha256": SHA},
            {"id": "s2", "title": "The concert", "kind": "event", "duration_s": None, "file": None, "sha256": None},
        ],
        "order": "random",
        "consent": {"version": 3, "text": {"en": "Yes?", "fr": "Oui ?"}},
        "before": [
            {
                "id": "age",
                "kind": "single",
                "title": {"en": "How old are you?"},
                "options": [{"id": "young", "title": {"en": "Under 35"}}, {"id": "old", "title": {"en": "35 or older"}}],
                "required": True,
            }
        ],
        "after": [{"id": "liked", "kind": "liking", "title": {"en": "Did you like it?"}}],
        "variables": [
            {"id": "age", "title": "Age", "by": "question", "question": "age", "values": [{"id": "young", "title": "Youth"}]},
            {"id": "cell", "title": "Cell", "by": "link", "values": [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]},
        ],
        "markers": [{"id": "m1", "stimulus": "s1", "time_s": 12.5, "end_s": 14.0, "label": "the joke"}],
    }
    return whole | changed


def test_what_is_written_is_read_again() -> None:
    study = Study.read(definition())
    assert Study.read(json.loads(json.dumps(study.json()))) == study
    assert study.json()["format"] == "mien-study 1"
    assert (study.every_s, study.baseline_s, study.keep, study.retention_days, study.smallest_group) == (0.5, 5.0, "scores", 90, 5)
    assert Study.read({}) == Study()


def test_a_whole_study_lacks_nothing_and_an_empty_one_almost_everything() -> None:
    assert Study.read(definition()).missing() == []
    assert Study().missing() == [
        "a title",
        "what it is for",
        "who runs it, and how to reach them",
        "a film or a live event",
        "the consent text in English",
    ]
    half = definition(languages=["fr", "de"], stimuli=[{"id": "s1", "title": "Cut"}], markers=[])
    half["before"][0]["options"] = half["before"][0]["options"][:1]
    assert Study.read(half).missing() == [
        "the film of “Cut”",
        "the consent text in Deutsch",
        "the words of question 1 before the film in Français",
        "two options or more of question 1 before the film",
        "the words of all options of question 1 before the film in Français",
        "the words of question 1 after the film in Français",
    ]


def test_groups_are_called_by_their_name_or_number_never_by_their_id() -> None:
    nameless = {"id": "v1", "title": "", "by": "link", "values": []}
    assert Study.read(definition(variables=[nameless | {"id": "v0", "title": "Cinema"}, nameless])).missing() == [
        "the groups of “Cinema”",
        "the groups of grouping 2, which has no name yet",
    ]


def test_a_definition_with_the_former_name_of_the_curves_smoothing_is_read_as_before() -> None:
    """`smoothing_s` is an exponential time constant everywhere else; here it was a Gaussian's standard deviation."""
    old = definition() | {"smoothing_s": 4}
    old.pop("curve_sigma_s", None)
    study = Study.read(old)
    assert study.curve_sigma_s == 4
    assert "smoothing_s" not in study.json()
    assert Study.read(study.json()) == study
    with pytest.raises(DataError, match="smoothing_s: is not known here"):
        Study.read(old | {"curve_sigma_s": 2})
    with pytest.raises(DataError, match="curve_sigma_s: wanted"):
        Study.read(old | {"smoothing_s": 31})


@pytest.mark.parametrize("purpose", REFUSED)
def test_some_purposes_are_refused_with_the_reason(purpose: str) -> None:
    with pytest.raises(DataError, match=r"^purpose: no study can be for this\. ") as caught:
        Study.read(definition(purpose=purpose))
    assert REFUSED[purpose][1] in str(caught.value)
    if purpose in ("workplace", "education"):
        assert "Article 5(1)(f)" in str(caught.value)


def test_every_other_purpose_is_taken() -> None:
    for purpose in PURPOSES:
        assert Study.read(definition(purpose=purpose)).purpose == purpose
    assert not set(PURPOSES) & set(REFUSED)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"titel": "x"}, "titel: is not known here; known: about, after"),
        ({"format": "mien-study 2"}, "format: wanted 'mien-study 1', but got 'mien-study 2'; made by another version of mien"),
        ({"purpose": "fun"}, "purpose: wanted one of film_test, .*, but got 'fun'"),
        ({"title": "x" * 201}, "title: wanted a text of at most 200 letters, but got 'xxx"),
        ({"title": "a\0b"}, "title: wanted a text"),
        ({"about": {"es": "Hola"}}, "about: wanted texts in en, fr, de, tr, but got one in 'es'"),
        ({"about": {"en": 3}}, r"about\.en: wanted a text of at most"),
        ({"languages": []}, "languages: wanted a list of one or more of en, fr, de, tr, each once, but got \\[\\]"),
        ({"languages": ["en", "en"]}, "languages: wanted a list"),
        ({"every_s": 0.01}, "every_s: wanted a number of seconds from 0.1 to 10, but got 0.01"),
        ({"every_s": float("nan")}, "every_s: wanted a number of seconds"),
        ({"every_s": True}, "every_s: wanted a number of seconds"),
        ({"retention_days": 0}, "retention_days: wanted a whole number from 1 to 3650, but got 0"),
        ({"retention_days": 1.5}, "retention_days: wanted a whole number"),
        ({"smallest_group": "5"}, "smallest_group: wanted a whole number"),
        ({"keep": "films"}, "keep: wanted one of scores, pictures, but got 'films'"),
        ({"stimuli": [{"id": "../x", "title": ""}]}, r"stimuli\[0\]\.id: wanted 1 to 40 small letters"),
        ({"stimuli": [{"id": "baseline"}], "markers": []}, r"stimuli\[0\]\.id: wanted another word than check, baseline, pictures"),
        ({"stimuli": [{"id": "a"}, {"id": "a"}], "markers": []}, "stimuli: wanted each id once, but 'a' is there 2 times"),
        ({"stimuli": [{"id": "a", "sha256": "x"}], "markers": []}, r"stimuli\[0\]\.sha256: wanted 64 hexadecimal digits"),
        ({"stimuli": "all"}, "stimuli: wanted a list of at most 50, but got 'all'"),
        ({"stimuli": [7]}, r"stimuli\[0\]: wanted a JSON object, but got 7"),
        (
            {"before": [{"id": "q", "kind": "essay"}], "variables": []},
            r"before\[0\]\.kind: wanted one of .*, but got 'essay'",
        ),
        (
            {"before": [{"id": "q", "kind": "number", "min": 3, "max": 1}], "variables": []},
            r"before\[0\]\.min: wanted at most max, which is 1, but got 3",
        ),
        (
            {"before": [{"id": "q", "kind": "long", "options": [{"id": "a", "title": {}}]}], "variables": []},
            r"before\[0\]\.options: only questions of the kinds single, multiple, matrix have options",
        ),
        ({"after": [{"id": "age", "kind": "short"}]}, "after: the question 'age' is asked before, too"),
        (
            {"variables": [{"id": "v", "title": "V", "by": "question", "question": "liked"}]},
            r"variables\[0\]\.question: wanted the id of a question of the kind single, but got 'liked'",
        ),
        (
            {"markers": [{"id": "m", "stimulus": "s9", "time_s": 1}]},
            r"markers\[0\]\.stimulus: wanted the id of a film, but",
        ),
        ({"markers": [{"id": "m", "stimulus": "s1", "time_s": 2, "end_s": 2}]}, r"markers\[0\]\.end_s: wanted more than time_s"),
        ({"consent": {"version": 0}}, r"consent\.version: wanted a whole number from 1"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        Study.read(definition(**changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 3, "x", [], [{}]])
def test_what_is_no_object_is_no_study(given: Any) -> None:
    with pytest.raises(DataError, match="the study: wanted a JSON object"):
        Study.read(given)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "kind", "title", "en", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(definition())), json_values)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_read_or_refused(name: str, value: Any) -> None:
    try:
        study = Study.read(definition(**{name: value}))
    except DataError:
        return
    assert Study.read(study.json()) == study
    study.missing()


# --- answers


def question(kind: str, **more: Any) -> Question:
    options = [{"id": "a", "title": {"en": "A"}}, {"id": "b", "title": {"en": "B"}}] if kind in ("single", "multiple") else []
    asked = {"id": "q", "kind": kind, "title": {"en": "What?"}, "options": options} | more
    return Study.read({"before": [asked]}).before[0]


FELT = dict.fromkeys(FERPLUS, 0) | {"happiness": 4}


@pytest.mark.parametrize(
    ("kind", "answer", "kept"),
    [
        ("single", "a", "a"),
        ("multiple", ["b", "a"], ["a", "b"]),
        ("scale5", 5, 5),
        ("scale7", 7.0, 7),
        ("liking", 1, 1),
        ("number", 3, 3.0),
        ("short", " fine ", "fine"),
        ("long", "x" * 4000, "x" * 4000),
        ("emotions", FELT, FELT),
    ],
)
def test_answers_are_kept_as_they_are_meant(kind: str, answer: Any, kept: Any) -> None:
    assert question(kind).check(answer) == kept
    assert question(kind, required=True).check(answer) == kept


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("single", "c", "What[?]: wanted one of a, b, but got 'c'"),
        ("single", ["a"], "wanted one of"),
        ("multiple", "a", "wanted a list of some of a, b"),
        ("multiple", ["a", 3], "wanted a list"),
        ("scale5", 6, "wanted a whole number from 1 to 5, but got 6"),
        ("scale5", 0, "wanted a whole number"),
        ("scale7", 2.5, "wanted a whole number from 1 to 7"),
        ("liking", True, "wanted a whole number"),
        ("number", "3", "wanted a number"),
        ("number", float("inf"), "wanted a number"),
        ("short", "x" * 201, "wanted a text of at most 200 letters"),
        ("long", "x" * 4001, "wanted a text of at most 4000 letters"),
        ("emotions", {"happiness": 4}, "wanted a whole number from 0 to 4 for each of neutral, "),
        ("emotions", FELT | {"happiness": 5}, "wanted a whole number from 0 to 4"),
    ],
)
def test_answers_that_cannot_be_are_refused(kind: str, answer: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        question(kind).check(answer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [None, "", "  ", [], {}])
def test_no_answer_is_fine_unless_one_is_needed(kind: str, nothing: Any) -> None:
    assert question(kind).check(nothing) is None
    with pytest.raises(DataError, match=r"What\?: needs an answer"):
        question(kind, required=True).check(nothing)


def test_a_number_has_bounds() -> None:
    asked = question("number", min=18, max=99)
    assert asked.check(18) == 18.0
    with pytest.raises(DataError, match="wanted a number from 18 to 99, but got 17"):
        asked.check(17)


# --- groups


def test_groups_come_from_answers_and_links() -> None:
    study = Study.read(definition())
    assert study.groups({"age": "young"}, {"cell": "b"}) == {"age": "young", "cell": "b"}
    assert study.groups({"age": "else"}, {"cell": "z", "other": "a"}) == {}


def test_groups_of_a_question_are_its_options_with_the_titles_given() -> None:
    values = Study.read(definition()).variables[0].values
    assert [(value.id, value.title) for value in values] == [("young", "Youth"), ("old", "35 or older")]


# --- what cannot change any more


def test_what_people_took_part_in_cannot_change() -> None:
    films = [*definition()["stimuli"], {"id": "s3"}]
    old = Study.read(definition(keep="pictures", stimuli=films))
    changes: dict[str, dict[str, Any]] = {
        "purpose": {"purpose": "research"},
        "stimuli": {"stimuli": [*films, {"id": "s4"}]},
        "order": {"order": "fixed"},
        "before": {"before": [], "variables": definition()["variables"][1:]},
        "after": {"after": []},
        "every_s": {"every_s": 1},
        "baseline_s": {"baseline_s": 0},
        "keep": {"keep": "scores"},
        "retention_days": {"retention_days": 91},
        "smallest_group": {"smallest_group": 4},
        "languages": {"languages": ["en"]},
        "variables": {"variables": definition()["variables"][:1]},
        "cuts": {"cuts": ["s1", "s3"], "cuts_shown": "one"},
    }
    assert set(changes) == set(ANSWERED_UNDER)
    for name, changed in changes.items():
        assert broken_by(old, Study.read(definition(keep="pictures", stimuli=films) | changed)) == [name]


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "Other"},
        {"about": {}},
        {"contact": "Bob"},
        {"markers": []},
        {"curve_sigma_s": 5},
        {"consent": {"text": {"en": "Other"}}},
        {"retention_days": 30},
        {"smallest_group": 10},
        {"languages": ["en", "fr", "tr"]},
        {"stimuli": [definition()["stimuli"][0] | {"title": "Renamed"}, definition()["stimuli"][1]]},
    ],
)
def test_what_takes_nothing_from_people_can(changed: dict[str, Any]) -> None:
    assert broken_by(Study.read(definition()), Study.read(definition(**changed))) == []


# --- the consent text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_consent_text_says_all_that_matters(language: str) -> None:
    study = Study.read(definition(retention_days=123, smallest_group=17, every_s=0.4))
    text = default_consent(language, study)
    for fact in ("Night train", "Ada Example, ada@example.org", "123", "17", "18", "2.5" if language == "en" else "2,5"):
        assert fact in text
    assert "{" not in text
    assert "}" not in text
    assert len(text.split("\n\n")) == 8
    assert len({default_consent(other, study) for other in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_consent_text_follows_the_study(language: str) -> None:
    def text(**changed: Any) -> str:
        return default_consent(language, Study.read(definition(**changed)))

    films = [{"id": f"s{k}", "duration_s": 60} for k in range(3)]
    kinds = [text(), text(keep="pictures"), text(every_s=1), text(every_s=2), text(before=[], after=[], variables=[])]
    kinds += [text(stimuli=films[:1], markers=[]), text(stimuli=films, markers=[])]
    assert len(set(kinds)) == len(kinds)
    assert "{" not in text(title="{contact}").replace("{contact}", "")


def test_texts_that_are_there_stay_and_others_are_made() -> None:
    study = Study.read(definition(languages=["en", "de"])).with_default_consent()
    assert study.consent.text["en"] == "Yes?"
    assert study.consent.text["de"] == default_consent("de", study)
    assert set(study.consent.text) == {"en", "de"}
    with pytest.raises(ValueError, match="wanted one of en, fr, de, tr"):
        default_consent("es", study)


@pytest.mark.parametrize(("kind", "answer"), [("long", "\ud83d"), ("short", "a\udc00"), ("number", 10**400), ("scale5", 10**400)])
def test_an_answer_that_cannot_be_kept_is_refused(kind: Any, answer: Any) -> None:
    with pytest.raises(DataError):
        Question("q", kind).check(answer)
