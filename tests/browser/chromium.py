"""Which browser is used, and how it is started."""

import os
import shutil
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The first of $CHROMIUM, chromium, chromium-browser, google-chrome. Playwright's own download is not used."""
    return next((found for name in (os.environ.get("CHROMIUM"), *BROWSERS) if name and (found := shutil.which(name))), None)


def launch_options(executable: str, *switches: str) -> dict[str, Any]:
    """How Playwright launches it: nothing but loopback has an address in it, and only root does without its sandbox."""
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    return {
        "executable_path": executable,
        "args": [nowhere, "--disable-background-networking", "--mute-audio", *switches],
        "chromium_sandbox": os.geteuid() != 0,
    }
