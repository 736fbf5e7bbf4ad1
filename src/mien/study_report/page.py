"""A review as one HTML file that opens without a network."""

import html as markup
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mien import __version__, page_file
from mien.report import writing
from mien.study_report.headline import headline

_OWN = Path(__file__).parent / "static"


def html(review: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Writes the page: about 2 MB more than the review, most of it Plotly's script.

    `review` is a review as `mien.study_report.results.build` makes it. The page loads nothing from anywhere: a content security
    policy in it names the hashes of its own scripts and lets in nothing else. Every text from outside is put in as text. Raises
    `MediaError` where the file cannot be written.
    """
    page = render(review)
    with writing(path) as file:
        file.write(page)


def render(review: Mapping[str, Any]) -> str:
    """The page's markup."""
    said = review.get("headline") or headline(review)
    script = page_file.script(_OWN / "start.js")
    simulated = review["simulated"]
    # In JSON a "<" can only stand in a text, where it may be written otherwise; so no text can end the script that holds it.
    data = json.dumps(dict(review) | {"headline": said}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return "".join(
        page_file.fill(
            (_OWN / "page.html").read_text(encoding="utf-8"),
            policy=page_file.policy(script, page_file.plotly_script()),
            version=__version__,
            title=f"{markup.escape(review['title'])} · how the audience reacted",
            style="\n".join(
                (page_file.STATIC / name).read_text(encoding="utf-8") for name in ("mien.css", "study_report/report.css")
            ),
            study=markup.escape(review["title"]),
            headline=markup.escape(said),
            caveat=markup.escape(review["caveat"]),
            simulated=f"<p>Simulated. {markup.escape(simulated)}</p>" if simulated else "",
            review=data,
            plotly=page_file.packed_plotly(),
            script=script,
        )
    )
