"""Who is dealt which of two cuts, or which first."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.study.dealing import deal
from mien.study.definition import Study, broken_by, default_consent
from mien.web.studies.participants import Participants, public
from web.participant_page import Open, Person

FILMS: list[dict[str, Any]] = [
    {"id": id, "title": id, "kind": "film", "duration_s": length_s, "sha256": "0" * 64}
    for id, length_s in (("news", 60), ("a", 120), ("b", 180))
]
CUTS: dict[str, Any] = {"stimuli": FILMS, "cuts": ["a", "b"], "variables": []}


def study(**more: Any) -> Study:
    return Study.read(CUTS | more)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", ["fixed", "random"])
@pytest.mark.parametrize("shown", ["one", "both"])
def test_the_two_never_differ_by_more_than_one(seed: int, order: str, shown: str) -> None:
    dealt: list[list[str]] = []
    for _ in range(30):
        dealt.append(deal(study(order=order, cuts_shown=shown), dealt, random.Random(f"{seed}{len(dealt)}")))
        first = Counter(next(id for id in ids if id != "news") for ids in dealt)
        assert abs(first["a"] - first["b"]) <= 1
    assert {tuple(sorted(ids)) for ids in dealt} == ({("a", "news"), ("b", "news")} if shown == "one" else {("a", "b", "news")})
    assert ({ids.index("news") for ids in dealt} == {0}) == (order == "fixed")


def test_which_of_two_that_are_even_is_dealt_is_chance() -> None:
    assert {deal(study(cuts_shown="one"), [], random.Random(seed))[1] for seed in range(20)} == {"a", "b"}


def test_without_cuts_the_films_are_as_they_are() -> None:
    assert deal(study(cuts=[], cuts_shown="one"), [], random.Random(1)) == ["news", "a", "b"]


def test_people_who_come_at_once_are_dealt_both_alike_and_know_of_one(app: FastAPI, client: TestClient) -> None:
    held = Open(app, **CUTS, cuts_shown="one")
    with ThreadPoolExecutor(6) as crowd:
        people = list(crowd.map(lambda _: Person.agreed(client, held.invitation), range(10)))
    told = [person.told() for person in people]
    assert Counter(one["order"][1] for one in told) == {"a": 5, "b": 5}
    assert [[film["id"] for film in one["study"]["stimuli"]] for one in told] == [one["order"] for one in told]
    # Nobody may be measured for the other one.
    other = "b" if told[0]["order"][1] == "a" else "a"
    assert people[0].refused("POST", "/events", event="play", stimulus=other, film_s=1, at_s=1) == (422, "invalid")
    assert client.get(f"/api/studies/{held.study}/viewers").json()["items"][0]["order"] == held.row().order


def test_dealing_goes_on_where_it_was_after_a_restart_and_makes_up_for_who_left(app: FastAPI, client: TestClient) -> None:
    held = Open(app, **CUTS, cuts_shown="one")
    people = [Person.agreed(client, held.invitation) for _ in range(5)]
    dealt = [person.told()["order"][1] for person in people]
    fewer = min("ab", key=dealt.count)
    people[dealt.index(fewer)].ask("POST", "/leave")
    anew = Participants(app.state.settings, app.state.store, app.state.studies)  # which knows what the database does
    again = [anew.by_code(anew.agree(held.invitation, "en", 1, False), "").order[1] for _ in range(2)]
    assert again == [fewer, fewer]


def test_everybody_who_watches_both_has_the_one_first_or_the_other(app: FastAPI, client: TestClient) -> None:
    held = Open(app, **CUTS)
    orders = [tuple(Person.agreed(client, held.invitation).told()["order"]) for _ in range(6)]
    assert Counter(orders) == {("news", "a", "b"): 3, ("news", "b", "a"): 3}


def test_before_anybody_agrees_one_cut_is_told_of_and_counted(app: FastAPI) -> None:
    held = Open(app, **CUTS, cuts_shown="one")
    row = app.state.studies.known(held.study)
    assert [film["id"] for film in public(row)["stimuli"]] == ["news", "b"]  # the longer one
    assert "2 films, about 4 min" in default_consent("en", study(cuts_shown="one"))
    assert "3 films, about 6 min" in default_consent("en", study())


def test_who_watches_which_cannot_change_once_somebody_has_taken_part() -> None:
    one = study(cuts_shown="one")
    assert broken_by(one, study(cuts_shown="both")) == ["cuts"]
    assert broken_by(one, study(cuts_shown="one", cuts=[])) == ["cuts"]
    assert broken_by(one, study(cuts_shown="one", cuts=["b", "a"])) == []
    assert broken_by(study(cuts=[]), study(cuts=["a", "b"])) == []  # everybody has seen both: the report may compare them
