"""A review as one HTML file that opens without a network."""

import base64
import hashlib
import html as markup
import json
import re
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mien import __version__
from mien.errors import MediaError
from mien.report import packed_plotly, plotly_script
from mien.study_report.headline import headline

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";$', re.M)
_EXPORT = re.compile(r"^export (?:async )?(?:function|class|const|let) (\w+)", re.M)


def html(review: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Writes the page: about 2 MB more than the review, most of it Plotly's script.

    `review` is a review as `mien.study_report.results.build` makes it. The page loads nothing from anywhere: a content security
    policy in it names the hashes of its own scripts and lets in nothing else. Every text from outside is put in as text. Raises
    `MediaError` where the file cannot be written.
    """
    page = render(review)
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(page)
    except OSError as error:
        raise MediaError(f"{Path(fspath(path)).name}: cannot be written: {error.strerror or error}") from error


def render(review: Mapping[str, Any]) -> str:
    """The page's markup."""
    said = review.get("headline") or headline(review)
    script = joined(_review() / "start.js")
    simulated = review["simulated"]
    # In JSON a "<" can only stand in a text, where it may be written otherwise; so no text can end the script that holds it.
    data = json.dumps(dict(review) | {"headline": said}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "policy": f"default-src 'none'; script-src {_hash(script)} {_hash(plotly_script())}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'",
        "version": __version__,
        "title": f"{markup.escape(review['title'])} · how the audience reacted",
        "style": "\n".join(
            path.read_text(encoding="utf-8") for path in (_shared() / "mien.css", _shared() / "study_report" / "report.css")
        ),
        "study": markup.escape(review["title"]),
        "headline": markup.escape(said),
        "caveat": markup.escape(review["caveat"]),
        "simulated": f"<p>Simulated. {markup.escape(simulated)}</p>" if simulated else "",
        "review": data,
        "plotly": packed_plotly(),
        "script": script,
    }
    template = (_review() / "page.html").read_text(encoding="utf-8")
    return "".join(parts[text] if i % 2 else text for i, text in enumerate(re.split(r"\{\{(\w+)\}\}", template)))


def _review() -> Path:
    """What only the offline page is made of."""
    return Path(__file__).parent / "static"


def _shared() -> Path:
    """What the web application shows the report with, too: served under /static/mien/."""
    return Path(__file__).parents[1] / "static"


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"


def _imported(file: Path, address: str) -> Path:
    """The file behind an address that `file` imports."""
    if address.startswith("/static/mien/"):
        return _shared() / address.removeprefix("/static/mien/")
    return (file.parent / address).resolve()


def joined(entry: Path) -> str:
    """An ES module and all that it imports as one module without imports.

    Each module becomes a function that gives what it exports, so that names of one never meet those of another; the last one stays
    as it is, and may await. Modules import by name, one line each, as those here do; anything else is a `ValueError`.
    """
    order: list[tuple[str, str]] = []

    def visit(file: Path) -> str:
        name = "$" + re.sub(r"\W", "_", file.name.removesuffix(".js"))
        if any(name == known for known, _ in order):
            return name
        text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
        text = _IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = {visit(_imported(file, found[2]))};", text)
        exports = _EXPORT.findall(text)
        text = re.sub(r"^export (?=(?:async )?(?:function|class|const|let) )", "", text, flags=re.M)
        if wrong := re.search(r"^(?:import|export)\b.*", text, re.M):
            raise ValueError(f"{file.name}: cannot be joined: {wrong[0]}")
        if exports:
            text = f"const {name} = (() => {{\n{text}return {{ {', '.join(exports)} }};\n}})();\n"
        order.append((name, text))
        return name

    visit(entry)
    script = "".join(text for _, text in order)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script within a page cannot hold the end of a script")
    return script
