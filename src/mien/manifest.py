"""What became of each file of a long run, kept so that it outlives a kill; and claims, so that no two processes do one file.

OUT/.manifest/
  talk.mien.json    what is known of one file: state, seconds, rows, error, attempts; replaced whole each time
  talk.mien.claim   there as long as a process works on that file: which one, and by its time of change that it lives
  .list-….json      which files one call was about, and what it left out and why
  .begun.log        a line each time a process began with a file: the moment, its machine and number, the result folder

Any number of processes on any number of machines may share the folder; nothing but the log, which only grows, is ever changed in
place, so a kill at any moment leaves what can be read. The result folders are the truth, this only says how they came about.
"""

import contextlib
import hashlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mien.json_text import parsed
from mien.places import create, is_remote
from mien.unfinished import is_gone, this_process
from mien.whole_file import whole_file

FOLDER, LOG = ".manifest", ".begun.log"

BEAT_S = 30.0
"""Between two signs of life of a process that works on a file."""

DEAD_AFTER_S = 600.0
"""Without a sign of life a process on another machine is taken for dead, and its file is begun again."""

MOST_DEATHS = 5
"""So many processes may die over one file before it counts as failed."""

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one file.

    file       as given, without the secrets of an address        folder    the name of its result folder
    state      running, done, damaged or failed; one that says running without a claim was killed
    made_from  `cluster.fingerprint`                              asked     that and all other options, hashed
    attempts   how many times it was begun in this way            seconds   of work, once it has ended
    rows       face rows of the result                            error     of what is damaged or failed
    """

    file: str
    folder: str
    state: Literal["running", "done", "damaged", "failed"]
    made_from: str
    asked: str
    attempts: int = 1
    seconds: float | None = None
    rows: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of the results in `out`, an existing folder or one to be made. A plain value, fit to travel to processes."""

    out: Path

    @property
    def folder(self) -> Path:
        return self.out / FOLDER

    def record(self, folder: str) -> Record | None:
        """What is known of the file whose result folder is called so; None where nothing is, or it cannot be read."""
        return _record(self._path(folder, "json"))

    def records(self) -> dict[str, Record]:
        """What is known of all files, by the names of their result folders."""
        paths = (path for path in self.folder.glob("*.json") if not path.name.startswith("."))
        return {record.folder: record for path in sorted(paths, key=str) if (record := _record(path)) is not None}

    def keep(self, record: Record) -> None:
        """Writes what is known of a file in place of what was. Raises `OSError`."""
        _write(self._path(record.folder, "json"), asdict(record))

    def log_begun(self, folder: str) -> None:
        """Notes that this process begins with the file of a result folder; but in a store nothing grows. Raises `OSError`."""
        if is_remote(self.out):
            return
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {socket.gethostname()} {os.getpid()} {folder}\n"
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(line)

    def keep_list(self, files: Sequence[tuple[str, str]], skipped: Sequence[tuple[str, str]]) -> None:
        """Notes which (file, result folder) a call is about, and which (file, reason) it left out. Raises `OSError`."""
        content = {"files": sorted(files), "skipped": sorted(skipped)}
        mark = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
        _write(self.folder / f".list-{mark}.json", content)

    def lists(self) -> tuple[dict[str, str], dict[str, str]]:
        """{result folder: file} and {file left out: reason} of all calls."""
        files: dict[str, str] = {}
        skipped: dict[str, str] = {}
        for path in sorted(self.folder.glob(".list-*.json"), key=str):
            content = _read(path)
            files.update({str(folder): str(file) for file, folder in content.get("files", ())})
            skipped.update({str(file): str(why) for file, why in content.get("skipped", ())})
        return files, skipped

    def is_claimed(self, folder: str) -> bool:
        """Whether a process that lives works on the file of this result folder."""
        path = self._path(folder, "claim")
        return path.exists() and not self._is_dead(path)

    @contextlib.contextmanager
    def claim(self, folder: str) -> Iterator[bool]:
        """Gives True to one process at a time, which has the file until the block ends; False where another that lives has it.

        The claim of a process that died is taken over. Raises `OSError` where nothing can be written.
        """
        path = self._path(folder, "claim")
        token = self._take(path)
        if token is None:
            yield False
            return
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_S):
                with contextlib.suppress(OSError):
                    self._touch(path, token)

        beating = threading.Thread(target=beat, name="mien-claim", daemon=True)
        beating.start()
        try:
            yield True
        finally:
            ended.set()
            beating.join()
            if _read(path).get("token") == token:  # not where another took this process for dead
                path.unlink(missing_ok=True)

    def _touch(self, path: Path, token: str) -> None:
        if not is_remote(path):
            os.utime(path)
        elif (content := _read(path)).get("token") == token:
            path.write_text(json.dumps(content), encoding="utf-8")

    def _take(self, path: Path) -> str | None:
        mine = this_process() | {"token": secrets.token_hex(8)}
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                create(path, json.dumps(mine))
            except FileExistsError:
                if not self._is_dead(path) or not self._remove_dead(path):
                    return None
                continue
            return str(mine["token"])
        return None

    def _is_dead(self, path: Path) -> bool:
        """Whether the process that made this claim is gone; of one on another machine its silence decides."""
        gone = is_gone(_read(path))
        if gone is not None:
            return gone
        # Both times are the file server's, so that clocks of machines that differ, or are set, decide nothing.
        probe = self.folder / f".now-{secrets.token_hex(4)}"
        try:
            probe.touch()
            return probe.stat().st_mtime - path.stat().st_mtime > DEAD_AFTER_S
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    def _remove_dead(self, path: Path) -> bool:
        """Of several that find it dead one removes it; what another has just made in its place is put back."""
        if is_remote(path):  # two may find it dead, and both do the file: a result that is there is replaced by its like
            path.unlink(missing_ok=True)
            return True
        was = _read(path).get("token")
        aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        try:
            path.rename(aside)
        except OSError:
            return False
        mine = _read(aside).get("token") == was
        if not mine:
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)
        return mine

    def _path(self, folder: str, kind: str) -> Path:
        name = folder if len(os.fsencode(folder)) <= _LONGEST_NAME else hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
        return self.folder / f"{name}.{kind}"


def _record(path: Path) -> Record | None:
    found, names = _read(path), {field.name for field in fields(Record)}
    try:
        return Record(**{name: value for name, value in found.items() if name in names})
    except TypeError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
