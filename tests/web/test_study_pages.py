"""Sheets that a study prints: the poster with an invitation's code, and the notice for a room without one."""

from html import unescape

import pytest
from starlette.testclient import TestClient

from mien.study.definition import how_often
from mien.web.studies.texts import said
from web.conftest import Opened
from web.studies import made
from web.studies import opened as opened_study

LANGUAGES = ["en", "fr", "de", "tr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_of_a_room_says_what_people_have_to_be_told_and_invites_nobody(client: TestClient, language: str) -> None:
    id, invitation = opened_study(client, languages=LANGUAGES, every_s=0.5)
    answer = client.get(f"/studies/{id}/notice?lang={language}")
    text = unescape(answer.text)
    assert answer.headers["cache-control"] == "no-store"
    assert f'<html lang="{language}">' in text
    for key in ("notice.title", "notice.lead", "about.ai_text", "notice.kept_text", "notice.free_text"):
        assert said(key, language) in text
    often = how_often(language, 0.5)
    assert said("notice.measured_text", language).replace("{Often}", often[0].upper() + often[1:]) in text
    assert "ada@example.org" in text
    assert invitation not in text
    assert "qr.svg" not in text
    assert said("about.free_text", language) not in text, "nobody in a room has a code"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_poster_has_the_invitation(opened: Opened, language: str) -> None:
    client = opened(base="http://faces.example.org", allowed_hosts=("faces.example.org",))
    id, invitation = opened_study(client, languages=LANGUAGES)
    text = unescape(client.get(f"/studies/{id}/poster/{invitation}?lang={language}").text)
    assert f"/api/studies/{id}/invitations/{invitation}/qr.svg" in text
    assert said("poster.what_event", language) in text
    assert said("notice.title", language) not in text


@pytest.mark.parametrize(
    ("days", "language", "words"),
    [
        (90, "de", "Alles wird spätestens nach 90 Tagen gelöscht."),
        (1, "de", "Alles wird spätestens nach einem Tag gelöscht."),
        (1, "fr", "Tout est effacé au plus tard après un jour."),
        (2, "tr", "Hepsi en geç 2 gün sonra silinir."),
    ],
)
def test_how_long_it_is_kept(client: TestClient, days: int, language: str, words: str) -> None:
    id = made(client, languages=LANGUAGES, retention_days=days)["id"]
    assert words in unescape(client.get(f"/studies/{id}/notice?lang={language}").text)


def test_a_language_that_the_study_does_not_speak_is_its_first(client: TestClient) -> None:
    id = made(client, languages=["fr"])["id"]
    text = client.get(f"/studies/{id}/notice?lang=de").text
    assert '<html lang="fr">' in text
    assert "?lang=" not in text, "no choice among one"


def test_no_study_no_notice(client: TestClient) -> None:
    assert client.get("/studies/nosuchstudy0000/notice").status_code == 404
