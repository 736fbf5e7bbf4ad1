"""Every page of the application, in every state that looks different: what the tests of looks and access go through."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import watched
from browser import studies
from mien.study_report.sample_film import film as sample_film
from serving import Server

READY_S = 60.0

PASSWORD = "a long enough pass phrase"


@dataclass(frozen=True)
class Place:
    """A page: which server shows it (a field of `Gallery`), its path, and a selector of what is there once it is whole."""

    server: str
    path: str
    ready: str


PLACES = {
    "home-empty": Place("empty", "/", "#empty:not([hidden])"),
    "home": Place("filled", "/", "#latest li.job"),
    "result-film": Place("filled", "/analyses/{film}", "[role=slider][aria-valuenow]"),
    "result-picture": Place("filled", "/analyses/{picture}", "img.picture"),
    "result-failed": Place("filled", "/analyses/{failed}", "#waiting .notice"),
    "table-faces": Place("filled", "/analyses/{other}/tables/faces.csv", "#body th a"),
    "table-empty": Place("filled", "/analyses/{picture}/tables/episodes.csv", "#none:not([hidden])"),
    "analyses-empty": Place("empty", "/analyses", "#empty:not([hidden])"),
    "analyses": Place("filled", "/analyses", "#rows tr"),
    "compare": Place("filled", "/compare?a={film}&b={other}", "#share-rows tr"),
    "live": Place("filled", "/live", "main h1"),
    "stored-empty": Place("empty", "/stored", "main h1"),
    "stored": Place("filled", "/stored", "main h1"),
    "studies-empty": Place("empty", "/studies", "#empty:not([hidden])"),
    "studies": Place("filled", "/studies", "#list li"),
    "study": Place("filled", "/studies/{study}", "#panel-study input"),
    "study-missing": Place("filled", "/studies/{draft}", "#missing:not([hidden])"),
    "study-films": Place("filled", "/studies/{study}#films", ".film"),
    "study-consent": Place("filled", "/studies/{study}#consent", "#panel-consent .since"),
    "study-questions": Place("filled", "/studies/{study}#questions", ".question"),
    "study-groups": Place("filled", "/studies/{study}#groups", "[data-variable]"),
    "study-invitations": Place("filled", "/studies/{study}#invitations", ".invitation"),
    "study-people": Place("filled", "/studies/{study}#people", "[data-viewer]"),
    "study-log": Place("filled", "/studies/{study}#log", "#panel-log td"),
    "room": Place("filled", "/studies/{study}/room", "main h1"),
    "screen": Place("filled", "/studies/{report}/screen/film", "#card:not([hidden])"),
    "review": Place("filled", "/studies/{report}/review", ".js-plotly-plot .main-svg"),
    "review-empty": Place("filled", "/studies/{draft}/review", "#review-methods h2"),
    "poster": Place("filled", "/studies/{study}/poster/{invitation}", "main h1"),
    "notice": Place("filled", "/studies/{study}/notice", "main h1"),
    "preview": Place("filled", "/studies/{study}/preview", "main h1"),
    "take-part": Place("filled", "/take-part/{open_to_all}", ".explained"),
    "take-part-unknown": Place("filled", "/take-part/nothing", "main h1"),
    "withdraw": Place("filled", "/withdraw", "#code"),
    "phones": Place("filled", "/phones", "main h1"),
    "responsible-use": Place("filled", "/responsible-use", "main h1"),
    "api": Place("filled", "/api", "main h1"),
    "error": Place("filled", "/no-such-page", "main h1"),
    "login": Place("locked", "/login", "main h1"),
}


PAPER = {"poster", "notice"}
"""Sheets to print, which are light whatever the screen is."""

DARK = {"screen"}
"""What everybody in a cinema sees."""

APART = PAPER | DARK | {"preview", "take-part", "take-part-unknown", "withdraw"}
"""Pages for people who are no operators: without the application's head and foot."""

NOT_FOUND = {"error", "take-part-unknown"}
"""Pages of what is not there."""


@dataclass(frozen=True)
class Gallery:
    """Three servers: one that nobody used, one with analyses and studies, one with a password; and the ids of what there is."""

    empty: Server
    filled: Server
    locked: Server
    film: str
    other: str
    picture: str
    failed: str
    study: str
    draft: str
    report: str
    invitation: str
    open_to_all: str

    def address(self, name: str) -> tuple[Server, str]:
        place = PLACES[name]
        names = ("film", "other", "picture", "failed", "study", "draft", "report", "invitation", "open_to_all")
        return getattr(self, place.server), place.path.format(**{name: getattr(self, name) for name in names})


def fill(empty: Server, filled: Server, locked: Server, *, film: Path, other: Path, picture: Path, broken: Path) -> Gallery:
    """Analyse what the pages show, and make the studies. Raises `AssertionError` where something else came out than should."""

    def done(file: Path, name: str, state: str = "done", **options: float) -> str:
        job = filled.analyse(file, name, **options)
        assert job["state"] == state, job["error"]
        return str(job["id"])

    draft = studies.made(filled, studies.WHOLE | {"title": "Night train, third cut", "contact": ""})
    study = studies.made(filled, film=film)
    invitation = studies.opened(filled, study, groups={"place": "rex"})
    studies.joined(filled, invitation)
    report = watched.screened(filled, sample_film(film.with_name("balloon.mp4")))
    open_to_all = studies.opened(filled, report)
    return Gallery(
        empty,
        filled,
        locked,
        film=done(film, "Two portraits.mp4", every_s=0.2),
        other=done(other, "The demo film.mp4", every_s=0.5),
        picture=done(picture, "Group.jpg"),
        failed=done(broken, "Broken.mp4", "failed"),
        study=study,
        draft=draft,
        report=report,
        invitation=invitation,
        open_to_all=open_to_all,
    )


def whole(page: Any, name: str) -> Any:
    """Wait until the page shows all that it is going to show."""
    page.locator(PLACES[name].ready).first.wait_for()
    page.wait_for_load_state("load")
    end = time.monotonic() + READY_S
    while True:  # an answer may make a script ask for more
        page.wait_for_function("() => !document.querySelector('[aria-busy=true]') && document.fonts.status === 'loaded'")
        page.wait_for_timeout(300)  # what a script draws after its data came
        waiting = unanswered(page)
        if not waiting:
            return page
        assert time.monotonic() < end, f"no answer: {waiting}"


def unanswered(page: Any) -> list[str]:
    """What the page asked for and has not got to its end; what never ends does not count."""
    asked = [request for request in page.requests() if request.resource_type not in ("eventsource", "media", "websocket")]
    return [one.url for one in asked if one.failure is None and one.timing["responseEnd"] < 0]
