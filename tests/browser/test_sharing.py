"""A study that leaves the operator's machine: `mien serve --share`, from the link to the report, over https and with a camera."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from browser import participants
from browser.axe import serious
from browser.conftest import Open, Watch
from browser.participants import open_study
from browser.test_take_part import ALLOW, CAMERA, QUICK, on, play_at, press, to_the_film
from mien.errors import MienError
from mien.web.network import local_address
from serving import Server

TOKEN = "a-token-of-many-letters"


@pytest.fixture(scope="module")
def address() -> str:
    """This machine's own in its network: to a browser it is no more than any other, and gets a camera over https alone."""
    try:
        return local_address()
    except MienError:
        pytest.skip("this machine is in no network")


@pytest.mark.more
def test_from_the_link_to_the_report(
    open_page: Open, launch: Callable[..., Any], serve: Callable[..., Server], watch: Watch, tmp_path: Path, address: str
) -> None:
    film = participants.clock_film(tmp_path / "shapes.mp4", 3.0)
    face = participants.one_face(tmp_path / "one.mjpeg")
    resolve = f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {address}"
    browser = launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={face}", resolve, "--no-proxy-server")
    server = serve(host=address, token=TOKEN)
    invited = open_study(server, [film], before=[], after=[], languages=["en"], title="Shapes alone")

    # The operator logs in, and finds link, code and poster.
    page = open_page("/login", server=server, within=browser, ignore_https_errors=True)
    page.get_by_label("Password or token").fill(TOKEN)
    press(page, "Log in")
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/studies/{invited.study}#invitations")
    link = page.get_by_label("Link: Everybody", exact=True).input_value()
    assert re.fullmatch(rf"http://{re.escape(address)}:\d+{invited.path}", link)
    expect(page.locator(".qr img")).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("button", name="Larger QR code").click()
    expect(page.get_by_role("button", name="Smaller QR code")).to_be_focused()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "Copy the link: Everybody")
    expect(page.get_by_text("The link is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.get_by_role("link", name="Poster to print").click()
    expect(page.locator(".poster-link")).to_have_text(link)
    expect(page.get_by_text("Your browser will warn you of the certificate.")).to_be_visible()
    assert serious(page) == []

    # The participant's phone: what the link shows without https, then everything over it.
    watch.own.add(urlsplit(link).netloc)
    phone = open_page(link, server=server, within=browser, ignore_https_errors=True, width=390, height=740)
    on(phone, "Your browser will warn you in a moment")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_role("link", name="Continue").click()
    on(phone, "Shapes alone")
    assert phone.url == f"{server.url}{invited.path}"
    assert phone.evaluate("isSecureContext")
    code = to_the_film(phone, invited)
    press(phone, "Start the film")
    play_at(phone, QUICK)
    on(phone, "Thank you!")
    assert len(invited.kept(code)["measured"]["s1"]["looks"]) > 0

    page.goto(f"{server.url}/studies/{invited.study}/review")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
