"""The pages of participants, as the server gives them: open to everybody, and no way into the rest."""

import json
import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from mien.web.studies.texts import said, texts
from web.conftest import PASSWORD, Opened

PAGES = ("/take-part/whatever", "/withdraw")


@pytest.mark.parametrize("path", PAGES)
def test_no_login_no_cookie_no_way_in(opened: Opened, path: str) -> None:
    client = opened(password=PASSWORD)
    answer = client.get(path)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers, "an operator's session for whoever has a link"
    assert answer.headers["cache-control"] == "no-store"
    assert "csrf" not in answer.text
    links = set(re.findall(r'href="(/[^"]*)"', answer.text))
    assert {link for link in links if not link.startswith("/static/")} <= {"/withdraw"}


@pytest.mark.parametrize("path", PAGES)
def test_nobody_who_needs_no_password_becomes_an_operator_by_a_link(client: TestClient, path: str) -> None:
    assert "set-cookie" not in client.get(path).headers


@pytest.mark.parametrize(
    ("accepted", "path", "language"),
    [("de-CH,fr;q=0.5", "/withdraw", "de"), ("de", "/withdraw?lang=tr", "tr"), ("ja", "/withdraw", "en")],
)
def test_the_language_of_the_page(client: TestClient, accepted: str, path: str, language: str) -> None:
    text = client.get(path, headers={"Accept-Language": accepted}).text
    assert f'<html lang="{language}">' in text
    assert said("withdraw.title", language) in unescape(text)
    assert said("page.noscript", language) in unescape(text)
    found = re.search(r'<script type="application/json" id="texts">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == texts()


@pytest.mark.parametrize("bad", ['"><script>alert(1)</script>', "' onload='x"])
def test_what_stands_in_the_address_does_no_harm(client: TestClient, bad: str) -> None:
    text = client.get(f"/take-part/{bad.replace('/', '%2F')}").text
    assert "<script>alert" not in text
    assert "' onload='x\"" not in text or "&#39; onload=" in text
