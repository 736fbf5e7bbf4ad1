from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from fakes import LABELS, FakeDetector, FakeExpressions
from mien.analyze import Analyzer
from mien.web.app import create_app
from mien.web.participants import load_viewer
from mien.web.settings import Settings
from web.conftest import HERE
from web.live_page import picture
from web.participant_page import Open, Person

HAPPY, SAD = "happiness", "sadness"
FACE, NOBODY = picture((20, 30, 40, HAPPY)), picture()
Start = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Starts an application on the test's data folder; ends the one before."""
    running: list[TestClient] = []

    def stop() -> None:
        while running:
            running.pop().__exit__(None, None, None)

    def begin(**more: Any) -> TestClient:
        stop()
        analyzer = more.pop("analyzer", None) or Analyzer(FakeExpressions(), detector=FakeDetector())
        values = {"data_dir": settings.data_dir} | more
        client = TestClient(create_app(Settings(**values), analyzer), base_url=HERE)
        running.append(client.__enter__())
        return client

    yield begin
    stop()


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app


@pytest.fixture
def study(client: TestClient) -> Open:
    return Open(app_of(client))


@pytest.fixture
def person(client: TestClient, study: Open) -> Person:
    person = Person.agreed(client, study.invitation)
    person.to_the_film()
    return person


def viewer(study: Open, name: int = 1) -> Any:
    state = study.app.state
    return load_viewer(state.store, state.settings, state.studies.known(study.study), study.row(name))


def test_from_consent_to_the_viewer(client: TestClient, study: Open) -> None:
    person = Person.agreed(client, study.invitation)
    person.ask("PUT", "/answers", part="before", answers={"age": "old", "why": " Curious. "})
    person.go("before", "camera")
    with person.watching("check") as page:
        assert page.look(picture((20, 30, 40, HAPPY), (100, 20, 20, SAD)))["faces"] == 2
    with person.watching("baseline") as page:
        for _ in range(10):
            page.look(picture((20, 30, 40, SAD)))
    assert person.told()["baseline"] == {"looks": 10, "with_face": 10, "good": True, "why": None}
    person.go("film:0")
    with person.watching("s1") as page:
        assert page.ready["received"] == -1
        assert (page.ready["labels"], page.ready["every_s"]) == (list(LABELS), 0.5)
        answers = [page.look(FACE if i % 4 else NOBODY) for i in range(20)]
    assert [a["kept"] for a in answers] == [True] * 20
    assert [a["faces"] for a in answers[:2]] == [0, 1]
    assert answers[0]["box"] is None
    assert answers[1]["size_px"] == pytest.approx(40, abs=3)
    assert answers[1]["expression"] is None  # nobody is told the own face during the film
    person.go("film:1", "after")
    person.ask("PUT", "/answers", part="after", answers={"liked": 6})
    person.go("done")
    found = viewer(study)
    assert (found.name, found.room, found.answers) == ("1", False, {"age": "old", "why": "Curious.", "liked": 6})
    assert found.groups == {"age": "old"}
    timeline = found.timelines["s1"]
    assert timeline.times.tolist() == [i / 2 for i in range(20)]
    assert timeline.frame_rows.tolist() == [i for i in range(20) if i % 4]
    assert timeline.emotions[:, LABELS.index(HAPPY)].min() > 0.8
    assert found.baseline[LABELS.index(SAD)] > 0.8
    assert "s2" not in found.timelines
    assert found.quality["looks"] == 20
    assert (found.quality["with_face"], found.quality["dropped"], found.quality["finished"]) == (15, 0, True)
    assert found.finished_at is not None
