"""The table of who is let in where, in docs/security.md: every route of the application is asked by everybody who must not.

python docs/make_security.py            fills the block between the marks access:begin and access:end
python docs/make_security.py --check    exits 1 where it is stale

Needs the packages of mien's tests. Nothing is asked over a network.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "security.md"
BEGIN, END = "<!-- access:begin -->", "<!-- access:end -->"
HERE = "http://127.0.0.1:8700"
CALLERS = ("nobody", "a participant's code", "another site, with the operator's cookie")
NOT_ANSWERED = "/api/jobs/events"
"""Has no end where it is let in."""


def routes(app: Any) -> list[tuple[str, str]]:
    """(method, path) of every route, in the order of their paths."""
    from fastapi.routing import APIRoute

    from mien.web.routes import every_route

    found = {
        (method, route.path) for route in every_route(app) if isinstance(route, APIRoute) for method in route.methods - {"HEAD"}
    }
    return sorted(found, key=lambda one: (one[1], one[0]))


def asked() -> dict[tuple[str, str], tuple[str, ...]]:
    """Route → what each of `CALLERS` is answered: "refused" with 401, 403 or the login's page, else "heard"."""
    from starlette.testclient import TestClient

    from mien.web.app import create_app
    from mien.web.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(
            Settings(data_dir=Path(folder), password="a long pass phrase", login_attempts_per_minute=1000)
        )  # or what is asked last were answered that too much was asked
        with TestClient(app, base_url=HERE, follow_redirects=False) as client:
            studies = app.state.studies
            study = studies.take_in({"title": "Crossed"}).id
            cookie = {"Cookie": f"mien_session={app.state.security.open_session()}"}
            headers: dict[str, dict[str, str]] = {
                "nobody": {},
                "a participant's code": {"X-Participant-Code": "wrong-for-all-but-its-own-person"},
                "another site, with the operator's cookie": cookie | {"Origin": "https://elsewhere.example"},
            }
            answers = {}
            for method, path in routes(app):
                names = {"id": study, "invitation": "k3v9Qm0aZx81tRbW", "name": "1", "track": "1", "room": "1"}
                address = re.sub(r"\{(\w+)(:\w+)?\}", lambda m, names=names: names.get(m[1], "x"), path)
                told = []
                for caller in CALLERS:
                    if path == NOT_ANSWERED and caller == CALLERS[2]:
                        told.append("heard")  # an answer that another site's page cannot read
                        continue
                    answer = client.request(method, address, headers=headers[caller])
                    login = answer.status_code == 303 and answer.headers["Location"].startswith("/login")
                    told.append("refused" if answer.status_code in (401, 403) or login else "heard")
                answers[method, path] = tuple(told)
    return answers


def table(answers: dict[tuple[str, str], tuple[str, ...]]) -> str:
    """Routes with the same answers in one line, reading and changing apart."""
    from mien.web.security import is_for_participants

    kinds: dict[tuple[str, ...], list[str]] = {}
    for (method, path), told in answers.items():
        whose = "participants'" if is_for_participants(path) else "operator's"
        kind = (f"{whose} page or call", "reads" if method == "GET" else "changes", *told)
        kinds.setdefault(kind, []).append(f"{method} {path}")
    lines = [f"| routes | of | do what | {' | '.join(CALLERS)} |", "| ---: | --- | --- |" + " --- |" * len(CALLERS)]
    lines += [f"| {len(found)} | {' | '.join(kind)} |" for kind, found in sorted(kinds.items())]
    few = [(kind, found) for kind, found in sorted(kinds.items()) if kind[0].startswith("operator") and "refused" not in kind[2:4]]
    names = ", ".join(f"`{name}`" for _, found in few for name in found)
    return "\n".join([*lines, "", f"Of the operator's, open to everybody: {names}."])


def filled(text: str, block: str) -> str:
    """A page with the block between its marks. Raises `ValueError` where they are not there once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"wanted {BEGIN} and {END} once each")
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n{block}\n{text[text.index(END) :]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    was = PAGE.read_text(encoding="utf-8")
    made = filled(was, table(asked()))
    if not check:
        PAGE.write_text(made, encoding="utf-8")
    return int(check and made != was)


if __name__ == "__main__":
    sys.exit(main())
