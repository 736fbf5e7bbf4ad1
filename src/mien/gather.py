"""Tables and a page of all results in a folder, however many processes made them, and whether or not all have ended."""

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mien import page_file
from mien.cluster import Outcome, check_index, index_rows, is_result, kept_summary, write_index
from mien.errors import MediaError
from mien.manifest import Manifest
from mien.whole_file import whole_file

_MARK = '<meta name="generator" content="mien gather">'


@dataclass(frozen=True, slots=True)
class Gathered:
    """What `gather` found. counts: files per status of files.csv. files: the tables and the page. notes: what differs in them."""

    outcomes: tuple[Outcome, ...]
    counts: dict[str, int]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def gather(out: Path) -> Gathered:
    """Writes files.csv, faces.csv, index.html, and faces.parquet where pyarrow is installed, of the results in the folder `out`.

    The result folders decide; the manifest adds the files that failed, that are being worked on and that wait. Raises `MediaError`
    for a folder without results, and where something of another's would be replaced.
    """
    if not out.is_dir():
        raise MediaError(f"{out}: there is no such folder; wanted the --out of mien analyze")
    page = out / "index.html"
    if page.exists() and _MARK not in page.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise MediaError(f"{page}: is there already and is not a page of mien; move it away")
    check_index(out / "files.csv")
    outcomes = found(out)
    if not outcomes:
        raise MediaError(f"{out}: there is no result of mien in it; wanted the --out of mien analyze of several files")
    write_index(outcomes, out / "files.csv")
    rows = list(index_rows(outcomes))
    notes = _differences(outcomes)
    try:
        with whole_file(page) as part:
            part.write_text(_page(rows, notes, out), encoding="utf-8")
    except OSError as error:
        raise MediaError(f"{page}: cannot be written: {error.strerror or error}") from error
    files = [path for name in ("files.csv", "faces.csv", "faces.parquet", "index.html") if (path := out / name).exists()]
    return Gathered(tuple(outcomes), dict(Counter(row["status"] for row in rows)), tuple(files), notes)


def found(out: Path) -> list[Outcome]:
    """What became of each file whose result is in `out` or should come there."""
    manifest = Manifest(out)
    (listed, skipped), records = manifest.lists(), manifest.records()
    inside = {path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith(".") and is_result(path)}
    outcomes = [Outcome(file, None, None, why, skipped=True) for file, why in skipped.items()]
    for name in sorted(inside | listed.keys() | records.keys()):
        record, folder = records.get(name), out / name
        summary = kept_summary(str(folder)) if name in inside else {}
        source = record.file if record else listed.get(name) or str(summary.get("media", {}).get("name", name))
        own = name in inside and (record is None or record.made_from == summary.get("settings", {}).get("made_from"))
        if own:
            outcomes.append(Outcome(source, str(folder), summary or None, None))
        elif record is not None and record.state == "failed":
            outcomes.append(Outcome(source, None, None, record.error or f"{source}: failed"))
        else:
            outcomes.append(Outcome(source, None, None, None, unfinished="running" if manifest.is_claimed(name) else "waiting"))
    return outcomes


def _differences(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Notes where the results were not all made in one way: such numbers are not comparable without a thought."""
    ways: dict[str, Counter[str]] = {"version of mien": Counter(), "models": Counter(), "interval": Counter()}
    for outcome in outcomes:
        if summary := outcome.summary:
            models = [f"{m.get('name')} {m.get('version', '')} {str(m.get('sha256', ''))[:12]}" for m in summary.get("models", ())]
            ways["version of mien"][str(summary.get("mien_version"))] += 1
            ways["models"][", ".join(models)] += 1
            every = summary["settings"].get("every_s")
            ways["interval"]["every frame" if every is None else f"{every:g} s"] += 1
    return tuple(
        f"not all results have one {what}: " + "; ".join(f"{way} ({count})" for way, count in counts.most_common())
        for what, counts in ways.items()
        if len(counts) > 1
    )


_COLUMNS = (
    ("file", "File", False),
    ("status", "State", False),
    ("duration_s", "Length, s", True),
    ("frames", "Looks", True),
    ("faces", "Faces", True),
    ("tracks", "Tracks", True),
    ("expression", "Leading expression", False),
    ("in_view", "In view", True),
    ("coverage", "Coverage", True),
    ("work_s", "Work, s", True),
    ("error", "Why", False),
)


def _page(rows: Sequence[dict[str, Any]], notes: Sequence[str], out: Path) -> str:
    template = (resources.files("mien") / "gather.html").read_text(encoding="utf-8")
    script = page_file.script(page_file.STATIC / "sorted_table.js")
    counts = Counter(row["status"] for row in rows)
    seconds = sum(row["duration_s"] for row in rows if isinstance(row["duration_s"], int | float))
    told = [f"{count} {status}" for status, count in counts.most_common()] + ([length_in_words(seconds)] if seconds else [])
    head = "".join(
        f'<th scope="col" aria-sort="none" class="{"num" if number else ""}"><button type="button">{name}</button></th>'
        for _, name, number in _COLUMNS
    )
    return "".join(
        page_file.fill(
            template,
            mark=_MARK,
            policy=page_file.policy(script),
            style=(page_file.STATIC / "mien.css").read_text(encoding="utf-8"),
            told=html.escape(", ".join(told)),
            notes="".join(f"<p>{html.escape(note)}</p>" for note in notes),
            head=head,
            body="\n".join(f"<tr>{''.join(_cell(row, *column, out) for column in _COLUMNS)}</tr>" for row in rows),
            script=script,
        )
    )


def length_in_words(seconds: float) -> str:
    """ "48 seconds", "12 minutes" or "3.4 hours", whichever says something."""
    for unit_s, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:,.1f} {unit}" if unit_s == 3600 else f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _cell(row: dict[str, Any], key: str, _: str, number: bool, out: Path) -> str:
    value = row[key]
    if number:
        shown = "" if value == "" else f"{100 * value:.0f} %" if key in ("in_view", "coverage") else f"{value:,.10g}"
        return f'<td class="num" data-value="{value}">{shown}</td>'
    text = html.escape(str(value))
    if key == "file" and row["folder"]:
        report = quote(f"{Path(row['folder']).name}/report.html")
        text = f'<a href="{report}">{text}</a>'
    return f"<td>{text}</td>"
