"""What the index says of each file of a folder of everything."""

import csv
import json
from pathlib import Path

import pytest

from everything import folder_of_everything
from mien.cli import main

REASONS = {
    ".DS_Store": "is hidden",
    "notes.txt": "is not a picture or film that can be read",
    "report.pdf": "is a PDF file, which is not read",
    "layers.psd": "is a picture of the kind Photoshop, which is not read; save it as JPEG or PNG",
    "gone.mp4": "is a link that leads nowhere",
    "voice.m4a": "holds sound (aac) but no film",
    "song with cover.mp3": "holds sound (mp3) but no film",
    "empty.jpg": "empty.jpg: is empty (0 bytes)",
    "cut off.jpg": "cut off.jpg: cannot be decoded: image file is truncated",
    "broken.mp4": "its index is cut off",
    "stopped.mkv": "what comes before is good",
}
NOTES = {
    "upside down.jpg": "turned by 180° clockwise",
    "out of a broadcast.jpg": "its pixels are 1.42 times as wide as they are high",
    "two films.mkv": "holds another film beside this one, which is not read (64 × 48 pixels)",
    "bare.h264": "it has no clock: 10 frames a second were taken",
}


def test_the_index_of_a_folder_of_everything(
    tmp_path: Path, hopper: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = folder_of_everything(tmp_path / "in", hopper)
    assert len(wanted) > 50
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", "in", "--out", "out", "--no-video", "--no-pictures"]) == 1  # for some have failed
    assert "Traceback" not in capsys.readouterr().err
    with (tmp_path / "out" / "files.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"].removeprefix("in/"): row for row in csv.DictReader(file)}
    assert set(rows) == set(wanted)
    for name, row in rows.items():
        became = row["status"] if row["status"] != "done" else "faces" if int(row["faces"]) else "nobody"
        assert became == wanted[name], (name, row)
        assert row["tracks"] in ("", "0", "1"), (name, row)  # there is but one person
        assert bool(row["error"]) == (row["status"] != "done")
        if name in REASONS:
            assert REASONS[name] in row["error"]
            assert "give a JPEG" not in row["error"] or row["status"] == "failed"
        if row["status"] in ("done", "damaged"):
            media = json.loads((tmp_path / row["folder"] / "summary.json").read_text(encoding="utf-8"))["media"]
            assert NOTES.get(name, "") in "".join(media["notes"])
            page = (tmp_path / row["folder"] / "report.html").read_text(encoding="utf-8")
            assert (NOTES.get(name, "Read otherwise") in page) == (name in NOTES)
            assert bool(media["notes"]) == (name in NOTES), (name, media["notes"])
