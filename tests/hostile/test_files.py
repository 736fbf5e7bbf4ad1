"""Some of the hostile files at each kind of door; `make nightly` sends all of them through all doors."""

import json
import struct
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostile import doors
from hostile.corpus import Hostile
from hostile.doors import ESCAPED, HUNG, READ, REFUSED, Everything, Met, stand_at, table, try_all, wrong

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the doors measure by what Linux tells")

SOME = (
    *("mien analyze", "mien data prepare", "mien models show", "mien models pull", "mien gather", "mien study new"),
    *("Analyzer.picture, of bytes", "upload of an analysis", "picture of a participant", "log of a participant"),
)


@pytest.mark.more
@pytest.mark.process
def test_some_hostile_files_at_some_doors(tmp_path: Path) -> None:
    found = try_all(tmp_path, one_in=12, doors=SOME)
    assert wrong(found) == [], table(found)
    assert found.connections == 0
    assert not found.marker_read
    assert {one.door for one in found.met} == set(SOME)
    assert found.inputs >= 250
    assert {READ, REFUSED} == {one.outcome for one in found.met}


def test_what_goes_wrong_at_a_door_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def way(path: Path, folder: Path) -> tuple[str, str]:
        if path.name == "raises":
            raise KeyError("x")
        if path.name == "leaves":
            (folder.parent / "tmp" / "face.jpg").touch()
        if path.name == "hangs":
            raise doors.TooLong
        return (READ, "") if path.name == "reads" else (REFUSED, "")

    @contextmanager
    def door():  # type: ignore[no-untyped-def]
        yield way

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(doors.DOORS, "a door", (("picture",), door))
    for name in ("TMPDIR", "MIEN_HOME", "MIEN_CACHE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("tempfile.tempdir", None)
    met: list[Met] = []
    inputs = [Hostile("picture", name, tmp_path / name) for name in ("reads", "refuses", "raises", "hangs", "leaves")]
    stand_at("a door", inputs, tmp_path / "home", met.append, lambda input: None)
    assert [one.outcome for one in met] == [READ, REFUSED, ESCAPED, HUNG, REFUSED]
    assert met[2].said == "KeyError: 'x'"
    assert [one.left for one in met] == [(), (), (), (), ("tmp/face.jpg",)]
    everything = Everything(met, 5, 1, False, False, 1.0)
    assert [one.name for one in wrong(everything)] == ["raises", "hangs", "leaves"]
    assert "| all | 5 | 1 | 2 | 1 | 1 |" in table(everything)


@pytest.mark.more
def test_of_a_log_whose_frames_all_have_one_number_there_is_a_report(tmp_path: Path) -> None:
    facts = {"format": "mien-frames 1", "labels": ["neutral", "happiness"], "settings": {}, "stimulus": "s1"}
    records = [json.dumps(facts).encode(), bytes(120), bytes(120)]
    (tmp_path / "s1.log").write_bytes(b"".join(struct.pack("<II", len(one), zlib.crc32(one)) + one for one in records))
    with doors.server("participant's log") as way:
        assert way(tmp_path / "s1.log", tmp_path) == (READ, "")
