"""Who is let in where: the table of docs/security.md is what the application says, and no code opens what is another's."""

import itertools
import re

import pytest
from starlette.testclient import TestClient

from docs_scripts import script
from web.conftest import PASSWORD, TOKEN, Opened
from web.studies import as_participant, joined
from web.studies import opened as opened_study

pytestmark = pytest.mark.more


def test_the_documented_table_of_access_is_what_the_application_says() -> None:
    make = script("make_security")
    answers = make.asked()
    text = make.PAGE.read_text(encoding="utf-8")
    assert make.filled(text, make.table(answers)) == text, "run: python docs/make_security.py"
    assert answers["GET", "/api/jobs"] == ("refused", "refused", "heard")
    assert answers["DELETE", "/api/storage"] == ("refused", "refused", "refused")
    assert answers["GET", "/api/take-part/{invitation}"][0] == "heard"


QUESTIONS = {"before": [], "after": [{"id": "said", "kind": "long", "title": {"en": "What stays?"}}], "smallest_group": 1}


def test_no_code_and_no_link_opens_what_is_anothers(opened: Opened) -> None:
    client = opened(password=PASSWORD, token=TOKEN)
    operator = TestClient(client.app, base_url=str(client.base_url), headers={"Authorization": f"Bearer {TOKEN}"})
    places = [opened_study(operator, title=f"STUDY-{k}", **QUESTIONS) for k in range(2)]
    people: dict[str, str] = {}  # what somebody said → the code
    for k, (_, invitation) in enumerate(places):
        for name in (1, 2):
            code, said = joined(client, invitation), f"SAID-BY-{k}-{name}"
            for step in ("before", "camera", "film:0", "after"):
                client.post("/api/participant/step", json={"step": step}, headers=as_participant(code))
            given = {"part": "after", "answers": {"said": said}}
            assert client.put("/api/participant/answers", json=given, headers=as_participant(code)).status_code == 200
            people[said] = code
    assert [said for said in people if said in operator.get(f"/api/studies/{places[0][0]}/viewers/1/export").text] == [
        "SAID-BY-0-1"
    ]

    asked, own, crossed = 0, 0, []
    reading = [
        path for method, path in script("make_security").routes(client.app) if method == "GET" and path != "/api/jobs/events"
    ]
    for (mine, code), path, (study, invitation), name in itertools.product(people.items(), reading, places, "12"):
        names = {"id": study, "invitation": invitation, "name": name}
        address = re.sub(r"\{(\w+)(:\w+)?\}", lambda m, names=names: names.get(m[1], "1"), path)  # type: ignore[misc]
        if "{" not in path and (study, name) != (places[0][0], "1"):
            continue
        answer = client.get(address, headers=as_participant(code))
        asked += 1
        own += mine in answer.text
        crossed += [(address, said) for said in people if said != mine and said in answer.text]
    assert crossed == []
    assert own == 2 * len(people)  # the person's own state and export
    assert asked > 400, asked
