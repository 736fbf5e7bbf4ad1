"""The pages as the server makes them; what they do in a browser stands in tests/browser."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.web.routes.pages import TEMPLATES, responsible_use_text, size
from web.conftest import PASSWORD, Opened

PAGES = ["/", "/analyses", "/live", "/stored", "/phones", "/responsible-use", "/api", "/compare"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_its_title_and_the_foot(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert re.search(r"<title>\S.* · mien</title>", answer.text)
    assert answer.text.count("<h1") == 1
    for needed in ("Expressions are what faces appear to show, not what people feel.", '"/responsible-use"', '"/stored"', '"/api"'):
        assert needed in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_head_is_answered_like_get(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "nav"),
    [("/", "Analyse"), ("/live", "Live"), ("/studies", "Studies"), ("/analyses", "All analyses"), ("/compare", "All analyses")],
)
def test_the_head_says_where_one_is(client: TestClient, path: str, nav: str) -> None:
    assert re.findall(r'aria-current="page">([^<]+)<', client.get(path).text) == [nav]


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_page_holds_scripts_styles_from_elsewhere_or_raw_values(template: Path) -> None:
    """The content security policy would refuse them; and names of files are texts, never markup. Data is no script."""
    text = template.read_text(encoding="utf-8")
    text = re.sub(r'<script type="application/json" id="[\w-]+">\{\{ \w+ \| tojson \}\}</script>', "", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\son\w+\s*=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    raw = re.findall(r"\{\{[^}]*\|\s*safe[^}]*\}\}|autoescape", text)
    assert raw == (["{{ text | safe }}"] if template.name == "responsible-use.html" else [])


def test_names_are_shown_as_text(client: TestClient, app: FastAPI) -> None:
    name = """<img src=x onerror="alert('1')">&.mp4"""
    job = app.state.store.create_job(name=name, state="done")
    answer = client.get(f"/analyses/{job.id}")
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
    assert html.escape(name)[:8] in answer.text


# --- tables


@pytest.mark.parametrize("name", ["faces.csv", "timeline.csv", "episodes.csv"])
def test_each_table_has_its_page(client: TestClient, app: FastAPI, name: str) -> None:
    job = app.state.store.create_job(name="<b>talk</b>.mp4", state="done")
    answer = client.get(f"/analyses/{job.id}/tables/{name}")
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert "<b>talk" not in answer.text
    assert f'href="/analyses/{job.id}"' in answer.text
    assert f'href="/api/jobs/{job.id}/files/{name}" download>Download {name}</a>' in answer.text
    (current,) = re.findall(r'href="[^"]*/tables/([^"]+)" aria-current="page"', answer.text)
    assert current == name


@pytest.mark.parametrize("name", ["summary.json", "report.html", "other.csv", "FACES.CSV"])
def test_other_files_are_no_tables(client: TestClient, app: FastAPI, name: str) -> None:
    job = app.state.store.create_job(name="talk.mp4", state="done")
    answer = client.get(f"/analyses/{job.id}/tables/{name}")
    assert answer.status_code == 404
    assert "There is no such table" in answer.text


def test_a_table_of_nothing(client: TestClient) -> None:
    assert client.get("/analyses/nothing/tables/faces.csv").status_code == 404


# --- what is stored


def test_what_is_stored_is_said_in_numbers(client: TestClient, app: FastAPI) -> None:
    folder = app.state.settings.data_dir
    job = app.state.store.create_job(state="done")
    (folder / "jobs" / job.id / "result").mkdir(parents=True)
    (folder / "jobs" / job.id / "result" / "annotated.mp4").write_bytes(b"x" * 2_500_000)
    text = client.get("/stored").text
    assert '<dd id="jobs">1</dd>' in text
    assert '<dd id="recordings">0</dd>' in text
    assert re.search(r"Annotated films and pictures</th><td>yes</td><td class=\"num\">2.5 MB</td>", text)
    assert str(folder) in text
    assert "Until you erase it." in text
    assert "Log out" not in text


def test_the_retention_period_is_said(opened: Opened) -> None:
    assert "An analysis erases itself 30 days after it has ended." in opened(retention_days=30).get("/stored").text


def test_a_database_elsewhere_is_said_without_its_password(opened: Opened, tmp_path: Path) -> None:
    text = opened(database_url=f"sqlite:///{tmp_path / 'other.db'}").get("/stored").text
    assert f"sqlite:///{tmp_path / 'other.db'}" in text


def test_who_is_logged_in_can_log_out(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    client.post("/api/login", json={"password": PASSWORD})
    assert 'id="logout"' in client.get("/stored").text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (999_600, "1.0 MB"),
        (3_100_000, "3.1 MB"),
        (1.2e9, "1.2 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes_read_as_on_the_other_pages(bytes_: float, text: str) -> None:
    assert size(bytes_) == text


# --- responsible use


def test_responsible_use_is_the_documentation_itself(client: TestClient) -> None:
    text = client.get("/responsible-use").text
    for needed in ("<h1>Responsible use</h1>", "at the workplace or in education", "Art. 50(3)", "GDPR", "<table>", "<blockquote>"):
        assert needed in text


def test_its_links_lead_somewhere() -> None:
    """Other pages of the documentation are not served; their links become words."""
    source = (Path(__file__).parents[2] / "docs" / "responsible-use.md").read_text(encoding="utf-8")
    assert "](models.md" in source
    shown = responsible_use_text()
    assert all(link.startswith(("https://", "#")) for link in re.findall(r'href="([^"]*)"', shown))
    assert "(figures)" in shown
    assert shown.count("<a ") == shown.count("</a>")


# --- the API page


def test_the_api_page_has_every_call_with_an_example(client: TestClient, app: FastAPI) -> None:
    text = html.unescape(client.get("/api").text)
    calls: list[tuple[str, str, dict[str, Any]]] = [
        (method, path, call) for path, item in app.openapi()["paths"].items() for method, call in item.items()
    ]
    assert len(calls) >= 6
    for method, path, call in calls:
        assert f'<span class="method {method}">{method.upper()}</span> <code>{path}</code>' in text
        assert call["summary"] in text
    assert text.count('aria-label="Request">curl') == len(calls)
    assert "/api/live" in text
    assert "http://127.0.0.1:8700/api/storage" in text


def test_the_api_page_shows_the_token_where_it_is_needed(opened: Opened) -> None:
    client = opened(password=PASSWORD)
    assert client.get("/api").status_code == 303
    client.post("/api/login", json={"password": PASSWORD})
    assert "Authorization: Bearer $MIEN_TOKEN" in html.unescape(client.get("/api").text)


@pytest.mark.parametrize(("path", "goal"), [("/docs", "/api"), ("/redoc", "/api"), ("/openapi.json", "/api/openapi.json")])
def test_where_an_api_is_looked_for_leads_to_its_description(client: TestClient, path: str, goal: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (307, goal)
    assert client.get(goal).status_code == 200
