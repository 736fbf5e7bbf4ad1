"""A study that people take part in, with every kind of question, and the films and cameras that its tests need."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from browser import films
from media_files import film
from mien.demo import FPS, HEIGHT, WIDTH
from serving import Server

FILM_SIZE = (320, 180)
FILM_RATE = 25

BEFORE: list[dict[str, Any]] = [
    {
        "id": "age",
        "kind": "single",
        "required": True,
        "title": {"en": "How old are you?", "de": "Wie alt sind Sie?"},
        "options": [
            {"id": "young", "title": {"en": "under 40", "de": "unter 40"}},
            {"id": "old", "title": {"en": "40 or more", "de": "40 oder mehr"}},
        ],
    },
    {
        "id": "genres",
        "kind": "multiple",
        "title": {"en": "Which films do you like?", "de": "Welche Filme mögen Sie?"},
        "options": [{"id": "comedy", "title": {"en": "comedies", "de": "Komödien"}}, {"id": "drama", "title": {"en": "dramas"}}],
    },
    {
        "id": "mood",
        "kind": "scale5",
        "required": True,
        "title": {"en": "How awake are you?"},
        "low": {"en": "very tired"},
        "high": {"en": "wide awake"},
    },
    {"id": "cinema", "kind": "number", "title": {"en": "How often were you at the cinema this year?"}, "min": 0, "max": 400},
    {"id": "last", "kind": "short", "title": {"en": "Which film did you see last?"}, "help": {"en": "The title is enough."}},
]
AFTER: list[dict[str, Any]] = [
    {"id": "felt", "kind": "emotions", "required": True, "title": {"en": "How strongly did you feel each of these?"}},
    {"id": "liked", "kind": "liking", "required": True, "title": {"en": "How much did you like the film?"}},
    {
        "id": "pace",
        "kind": "scale7",
        "title": {"en": "How was the pace?"},
        "low": {"en": "much too slow"},
        "high": {"en": "much too fast"},
    },
    {"id": "words", "kind": "long", "title": {"en": "Anything else?"}},
]
STUDY: dict[str, Any] = {
    "title": "Two shapes",
    "about": {"en": "A short film about two shapes.", "de": "Ein kurzer Film über zwei Formen."},
    "purpose": "film_test",
    "contact": "Ada Lovelace, ada@example.org",
    "languages": ["en", "de", "fr", "tr"],
    "before": BEFORE,
    "after": AFTER,
    "every_s": 0.25,
    "baseline_s": 2,
    "smallest_group": 1,
}


# What the page itself did, at any speed of the machine: when it looked while a film played, and for how long it was held up, by a
# beat of its own, and by the picture that took longest to be made.
NOTES = """
(() => {
  const notes = (window.notes = { looks: 0, taken: [], held_s: 0, made_s: 0 });
  const BEAT_MS = 100, ToWork = Worker, bitmap = window.createImageBitmap, begun = [];
  let beat_ms = null;
  const now = () => window.mienTakePart?.state ?? {};
  const longest = (name, ms) => now().playing && (notes[name] = Math.max(notes[name], ms / 1000));
  function beat() {
    beat_ms = performance.now();
    const clock = new ToWork("/static/js/capture/clock.js", { type: "module" });
    clock.onmessage = () => {
      longest("held_s", performance.now() - beat_ms - BEAT_MS);
      beat_ms = performance.now();
    };
    clock.postMessage(BEAT_MS);
  }
  window.Worker = class extends ToWork {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => data?.bytes && longest("made_s", performance.now() - begun.shift()));
    }
  };
  window.createImageBitmap = async (...given) => {
    if (beat_ms === null) beat();
    const { film_s, playing } = now();
    notes.looks += 1;
    if (playing) notes.taken.push(film_s);
    begun.push(performance.now());
    return bitmap.call(window, ...given);
  };
})()
"""


class Noted:
    """A browser whose pages note what they do: see `NOTES`."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def new_context(self, **options: Any) -> Any:
        context = self.browser.new_context(**options)
        context.add_init_script(NOTES)
        return context


@dataclass(frozen=True)
class Invited:
    """A study that is open, and the link to it."""

    server: Server
    study: str
    invitation: str

    @property
    def path(self) -> str:
        return f"/take-part/{self.invitation}"

    def viewers(self) -> list[dict[str, Any]]:
        with self.server.client() as client:
            found: list[dict[str, Any]] = client.get(f"/api/studies/{self.study}/viewers").raise_for_status().json()["items"]
        return found

    def kept(self, code: str) -> dict[str, Any]:
        """All that the server keeps of one participant."""
        with self.server.client() as client:
            answer = client.get("/api/participant/export", headers={"X-Participant-Code": code}).raise_for_status()
            found: dict[str, Any] = answer.json()
        return found


def open_study(server: Server, given: Sequence[Path] = (), *, events: int = 0, **changes: Any) -> Invited:
    """Makes a study with these films (and live events), opens it, and makes an invitation that anybody may use."""
    definition = STUDY | changes
    with server.client() as client:

        def ask(method: str, path: str, **options: Any) -> Any:
            answer = client.request(method, path, **options)
            assert answer.status_code < 300, answer.text
            return answer.json()

        stimuli = [{"id": f"e{k + 1}", "title": f"Event {k + 1}", "kind": "event"} for k in range(events)]
        study = ask("POST", "/api/studies", json=definition | {"stimuli": stimuli})["id"]
        for k, path in enumerate(given):
            with path.open("rb") as content:
                files = {"file": (path.name, content)}
                ask("POST", f"/api/studies/{study}/films", files=files, data={"title": f"Film {k + 1}"})
        for _ in range(1800):
            view = ask("GET", f"/api/studies/{study}")
            states = [film["state"] for film in view["films"]]
            if "converting" not in states:
                break
            time.sleep(0.1)
        assert set(states) <= {"ready"}, view["films"]
        ask("POST", f"/api/studies/{study}/state", json={"state": "open"})
        invitation = ask("POST", f"/api/studies/{study}/invitations", json={"label": "Everybody"})["id"]
    return Invited(server, study, invitation)


def grey_of(seconds: float) -> int:
    """How light the film of `clock_film` is at a time: 4 per tenth of a second, over 6 s."""
    return 10 + 4 * int(seconds * 10 + 1e-6)


def clock_film(path: Path, seconds: float = 6.0) -> Path:
    """A film with a tone whose lightness tells its time, with two shapes that move."""

    def picture(number: int) -> np.ndarray:
        width, height = FILM_SIZE
        rgb = np.full((height, width, 3), grey_of(number / FILM_RATE % 6.0), np.uint8)
        x = int(40 + 2.4 * number) % width
        cv2.circle(rgb, (x, 60), 22, (230, 160, 40), -1)
        cv2.rectangle(rgb, (width - x, 110), (width - x + 40, 150), (60, 130, 220), -1)
        return rgb

    times = [number / FILM_RATE for number in range(round(seconds * FILM_RATE))]
    return film(path, times=times, pictures=picture, size=FILM_SIZE, rate=FILM_RATE, sound="aac")


def one_face(path: Path) -> Path:
    """A camera before which one person sits."""
    return films.motion_jpeg(path, films.part(0, 3), round(FPS))


def nobody(path: Path) -> Path:
    """A camera before which nobody sits, in the dark."""
    return films.motion_jpeg(path, [np.full((HEIGHT, WIDTH, 3), 8, np.uint8)] * 25, round(FPS))
