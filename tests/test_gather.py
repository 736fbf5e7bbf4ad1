import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fakes import FakeOptions
from mien.cluster import analyze_files, result_folders
from mien.errors import MediaError
from mien.gather import gather, length_in_words
from mien.manifest import Manifest, Record
from test_cluster import cut_film, index, listing, portrait, short_film

OPTIONS = FakeOptions(annotated=False, pictures=False)


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """Results of a run that is not over: one file each that is done, damaged, failed, in work, waiting, skipped."""
    (tmp_path / "no.mp4").write_bytes(b"no film")
    sources = [str(short_film(tmp_path / "talk.mp4")), str(cut_film(tmp_path / "cut.mkv")), str(tmp_path / "no.mp4")]
    out = tmp_path / "out"
    kept = Manifest(out)
    list(analyze_files(sources, result_folders(sources, out), OPTIONS, manifest=kept))
    kept.keep_list([("talk.mp4", "talk.mien"), ("later.mp4", "later.mien"), ("now.mp4", "now.mien")], [("x.doc", "is no film")])
    return out


class Table(HTMLParser):
    """The cells of a page's table, and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        elif tag == "a":
            self.links.append(str(dict(attributes)["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def test_what_is_there_is_gathered_whatever_has_become_of_the_rest(half_done: Path) -> None:
    with Manifest(half_done).claim("now.mien"):
        gathered = gather(half_done)
    rows = index(half_done / "files.csv")
    assert {name: row["status"] for name, row in rows.items()} == {
        "talk.mp4": "done",
        "cut.mkv": "damaged",
        "no.mp4": "failed",
        "now.mp4": "running",
        "later.mp4": "waiting",
        "x.doc": "skipped",
    }
    assert gathered.counts == dict.fromkeys(("done", "damaged", "failed", "running", "waiting", "skipped"), 1)
    talk = json.loads((half_done / "talk.mien" / "summary.json").read_text())
    assert float(rows["talk.mp4"]["duration_s"]) == talk["media"]["duration_s"]
    assert rows["talk.mp4"]["in_view"] == "1.0"
    assert float(rows["talk.mp4"]["work_s"]) == talk["speed"]["seconds"]
    assert "not a picture or film" in rows["no.mp4"]["error"]
    with (half_done / "faces.csv").open(newline="", encoding="utf-8") as file:
        joined = list(csv.DictReader(file))
    assert {Path(row["file"]).name for row in joined} == {"talk.mp4", "cut.mkv"}
    assert sum(row["file"].endswith("talk.mp4") for row in joined) == talk["faces"]
    assert [path.name for path in gathered.files if path.suffix != ".parquet"] == ["files.csv", "faces.csv", "index.html"]
    assert all(path.is_file() for path in gathered.files)


def test_the_page_has_a_row_per_file_and_leads_to_its_report(half_done: Path) -> None:
    gather(half_done)
    text = (half_done / "index.html").read_text(encoding="utf-8")
    table = Table(text)
    head, *rows = table.rows
    assert head[0] == "File"
    assert len(rows) == 6
    assert sorted(table.links) == ["cut.mien/report.html", "talk.mien/report.html"]
    assert all((half_done / link).is_file() for link in table.links)
    (talk,) = (row for row in rows if row[0].endswith("talk.mp4"))
    assert talk[head.index("State")] == "done"
    assert talk[head.index("In view")] == "100 %"
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text), "it opens without a network"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 seconds"),
        (48, "48 seconds"),
        (119.9, "120 seconds"),
        (120, "2 minutes"),
        (3540, "59 minutes"),
        (1.44e7, "4,000.0 hours"),
    ],
)
def test_lengths_of_films_say_something(seconds: float, told: str) -> None:
    assert length_in_words(seconds) == told


def test_names_are_text_in_the_page(tmp_path: Path) -> None:
    name = "<b>&'\".png"
    source = str(portrait(tmp_path / name))
    list(analyze_files([source], result_folders([source], tmp_path / "out"), OPTIONS, manifest=Manifest(tmp_path / "out")))
    gather(tmp_path / "out")
    table = Table((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert table.rows[1][0] == source
    assert table.links == ["%3Cb%3E%26%27%22.mien/report.html"]


def test_results_without_a_manifest_are_gathered(tmp_path: Path) -> None:
    """As of an older version, or of single files with --out OUT/NAME.mien."""
    source, out = str(portrait(tmp_path / "a.png")), tmp_path / "out"
    list(analyze_files([source], [out / "mine"], OPTIONS))
    assert gather(out).counts == {"done": 1}
    assert index(out / "files.csv")["a.png"]["folder"].endswith("mine")
    assert gather(out).counts == {"done": 1}, "again, over its own files"


def test_an_older_result_of_a_file_that_failed_since_does_not_count(half_done: Path) -> None:
    kept = Manifest(half_done)
    record = kept.record("talk.mien")
    assert record is not None
    kept.keep(replace(record, state="failed", made_from="f" * 16, error="talk.mp4: was in the way"))
    assert gather(half_done).counts["failed"] == 2
    assert index(half_done / "files.csv")["talk.mp4"]["error"] == "talk.mp4: was in the way"
    # One whose new analysis was killed is to be done, too; and of one that was renamed before the kill the result counts.
    kept.keep(replace(record, state="running", made_from="f" * 16))
    assert gather(half_done).counts["waiting"] == 3
    kept.keep(replace(record, state="running"))
    assert gather(half_done).counts["done"] == 1


def test_results_that_were_not_made_alike_are_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, every in (("a", None), ("b", 0.5), ("c", 0.5)):
        source = str(short_film(tmp_path / f"{name}.mp4"))
        list(analyze_files([source], result_folders([source], out), replace(OPTIONS, every=every)))
    assert gather(out).notes == ("not all results have one interval: 0.5 s (2); every frame (1)",)
    assert "not all results have one interval: 0.5 s (2)" in (out / "index.html").read_text()


def test_nobodys_page_is_replaced(half_done: Path) -> None:
    (half_done / "index.html").write_text("<title>My work</title>")
    with pytest.raises(MediaError, match=r"index\.html: is there already and is not a page of mien; move it away"):
        gather(half_done)
    assert (half_done / "index.html").read_text() == "<title>My work</title>"
    assert "index.html" in listing(half_done)


@pytest.mark.parametrize("made", [False, True])
def test_where_there_is_nothing_to_gather(tmp_path: Path, made: bool) -> None:
    out = tmp_path / "out"
    if made:
        out.mkdir()
    with pytest.raises(MediaError, match=r"out: there is no (such folder|result of mien in it); wanted the --out of mien analyze"):
        gather(out)
    assert not made or listing(out) == []


def test_a_record_says_of_which_file_it_is(tmp_path: Path) -> None:
    Manifest(tmp_path).keep(Record("films/a.mp4", "a.mien", "failed", "0", "0", error="films/a.mp4: is damaged"))
    (outcome,) = gather(tmp_path).outcomes
    assert (outcome.source, outcome.error) == ("films/a.mp4", "films/a.mp4: is damaged")


@pytest.mark.parametrize("bad", ['{"settings": {}, "shares": []}', "[" * 100_000, "no JSON"], ids=["other kinds", "deep", "words"])
def test_a_summary_that_is_damaged_is_named_and_the_others_stay(half_done: Path, bad: str) -> None:
    (half_done / "talk.mien" / "summary.json").write_text(bad, encoding="utf-8")
    (half_done / ".manifest" / "talk.mien.json").unlink()
    gather(half_done)
    rows = index(half_done / "files.csv")
    assert rows["talk.mp4"]["status"] == "damaged"
    assert rows["talk.mp4"]["error"].startswith("its summary.json is missing or damaged")
    assert rows["cut.mkv"]["faces"] != ""


@pytest.mark.parametrize("bad", [b"\xf8\xff\n", b'frame,time_s\n1,"' + b"0" * 200_000], ids=["no text", "a cell without end"])
def test_a_table_that_is_damaged_is_left_out_of_the_joined_one(
    half_done: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (half_done / "talk.mien" / "faces.csv").write_bytes(bad)
    gather(half_done)
    with (half_done / "faces.csv").open(newline="", encoding="utf-8") as file:
        assert {Path(row["file"]).name for row in csv.DictReader(file)} == {"cut.mkv"}
    assert "talk.mien/faces.csv: is damaged" in caplog.text
