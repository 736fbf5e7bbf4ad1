"""Every page of the application, in every state that looks different: what the tests of looks and access go through."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import Server

PASSWORD = "a long enough pass phrase"


@dataclass(frozen=True)
class Place:
    """A page: which server shows it (a field of `Gallery`), its path, and a selector of what is there once it is whole."""

    server: str
    path: str
    ready: str


PLACES = {
    "home-empty": Place("empty", "/", "main h1"),
    "home": Place("filled", "/", "main h1"),
    "result-film": Place("filled", "/analyses/{film}", ".js-plotly-plot"),
    "result-picture": Place("filled", "/analyses/{picture}", "img.picture"),
    "result-failed": Place("filled", "/analyses/{failed}", "main h1"),
    "table-faces": Place("filled", "/analyses/{other}/tables/faces.csv", "#body th a"),
    "table-empty": Place("filled", "/analyses/{picture}/tables/episodes.csv", "#none:not([hidden])"),
    "analyses-empty": Place("empty", "/analyses", "main h1"),
    "analyses": Place("filled", "/analyses", "main h1"),
    "compare": Place("filled", "/compare?a={film}&b={other}", ".js-plotly-plot"),
    "live": Place("filled", "/live", "main h1"),
    "stored-empty": Place("empty", "/stored", "main h1"),
    "stored": Place("filled", "/stored", "main h1"),
    "responsible-use": Place("filled", "/responsible-use", "main h1"),
    "api": Place("filled", "/api", "main h1"),
    "error": Place("filled", "/no-such-page", "main h1"),
    "login": Place("locked", "/login", "main h1"),
}


@dataclass(frozen=True)
class Gallery:
    """Three servers: one that nobody used, one with analyses, one with a password; and the analyses' ids."""

    empty: Server
    filled: Server
    locked: Server
    film: str
    other: str
    picture: str
    failed: str

    def address(self, name: str) -> tuple[Server, str]:
        place = PLACES[name]
        ids = {"film": self.film, "other": self.other, "picture": self.picture, "failed": self.failed}
        return getattr(self, place.server), place.path.format(**ids)


def fill(empty: Server, filled: Server, locked: Server, *, film: Path, other: Path, picture: Path, broken: Path) -> Gallery:
    """Analyse what the pages show. Raises `AssertionError` where something else came out than should."""

    def done(file: Path, name: str, state: str = "done", **options: float) -> str:
        job = filled.analyse(file, name, **options)
        assert job["state"] == state, job["error"]
        return str(job["id"])

    return Gallery(
        empty,
        filled,
        locked,
        film=done(film, "Two portraits.mp4", every_s=0.2),
        other=done(other, "The demo film.mp4", every_s=0.5),
        picture=done(picture, "Group.jpg"),
        failed=done(broken, "Broken.mp4", "failed"),
    )


def whole(page: Any, name: str) -> Any:
    """Wait until the page shows all that it is going to show."""
    page.locator(PLACES[name].ready).first.wait_for()
    page.wait_for_load_state("load")
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]') && document.fonts.status === 'loaded'")
    page.wait_for_timeout(300)  # what a script draws after its data came
    return page
