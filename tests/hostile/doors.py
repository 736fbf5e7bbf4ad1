"""Every way in that a file can take, and what comes of it there: the hostile table.

    PYTHONPATH=src:tests python -m hostile.doors            all of it: each input through each door that takes its kind
    PYTHONPATH=src:tests python -m hostile.doors --one-in 8 each eighth input of each door

Each door is a process of its own, which is given its inputs one after the other. Of each input it is told how it ended, how many
seconds of a processor and how much memory that took, what it left behind, and whether an address was asked or a file read that an
input named. A process that ends of an input or hangs over it is told of as well, and another one goes on with the next. Linux.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hostile.corpus import Hostile, corpus

MEDIA = ("picture", "film", "other")
CPU_LIMIT_S = 60.0
"""What one input may take of a processor."""

LIMIT_S = 900.0
"""What it may take in all, on a busy machine."""

READ, REFUSED, ESCAPED, HUNG, ENDED = "read", "refused", "escaped", "hung", "ended the process"


@dataclass(frozen=True, slots=True)
class Met:
    """What came of one input at one door.

    said       why it was refused, or what escaped        peak_mib  the most memory, of the door or of a process that it started
    left       files that were left where none should be
    """

    door: str
    kind: str
    name: str
    outcome: str
    seconds: float = 0.0
    peak_mib: float = 0.0
    said: str = ""
    left: tuple[str, ...] = ()


class TooLong(BaseException):
    """Caught by nothing on its way."""


# --- the doors: each is made once in its process, and gives an outcome and what was said


Way = Callable[[Path, Path], tuple[str, str]]
"""(the input, an empty folder to work in) -> outcome, what was said."""


@contextlib.contextmanager
def command(*words: Any) -> Iterator[Way]:
    """The command line. `{}` is the input's path, and {out} a path in the folder."""
    from mien.cli import main

    def way(path: Path, folder: Path) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        given = [str(word).format(path, out=folder / "out", sha=_sha(path)) for word in words]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code: int | str | None = main(given)
            except SystemExit as error:
                code = error.code
        said = [line for line in err.getvalue().split("\n") if line.startswith("mien: ")]
        last = said[-1] if said else err.getvalue().strip()[-300:]
        if code == 0 or (code == 1 and "what comes before is good" in last):
            return READ, ""
        # 2 is the fault of who calls, and the words are right: what a file holds must not come out as that.
        well = code == 1 and "failed unexpectedly" not in err.getvalue() and "Traceback" not in err.getvalue()
        return (REFUSED if well and last.isprintable() else ESCAPED), f"{code}: {last}"

    yield way


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".zip" else ""


@contextlib.contextmanager
def call(name: str) -> Iterator[Way]:
    """A function of the package."""
    import mien
    from mien.audience import align
    from mien.errors import MienError

    analyzer = mien.Analyzer()
    ways: dict[str, Callable[[Path], Any]] = {
        "picture": analyzer.picture,
        "picture of bytes": lambda path: analyzer.picture(path.read_bytes()) if path.is_file() and path.stat().st_size else None,
        "video": lambda path: analyzer.video(path, every=0.5),
        "Timeline.load": lambda path: mien.Timeline.load(path / "a.mien" / "timeline.npz"),
        "align": lambda path: align([path / "a.mien", path / "a.mien"]),
    }

    def way(path: Path, folder: Path) -> tuple[str, str]:
        try:
            ways[name](path)
        except (MienError, OSError) as error:
            said = str(error)
            return (REFUSED if "\n" not in said else ESCAPED), said
        return READ, ""

    yield way


@contextlib.contextmanager
def server(name: str) -> Iterator[Way]:
    """The web application, with real processes that read uploads. What is there afterwards is erased as an operator would."""
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from mien.web.app import create_app
    from mien.web.settings import Settings
    from web.conftest import HERE

    with tempfile.TemporaryDirectory() as held_in:
        app: FastAPI = create_app(Settings(data_dir=Path(held_in) / "data", job_max_minutes=2, retention_days=0))
        with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
            inside = _Inside(app, client)
            ways: dict[str, Callable[[Path], tuple[str, str]]] = {
                "upload": inside.job,
                "film of a study": inside.film,
                "room": inside.room,
                "import of a study": inside.study,
                "live picture": inside.live,
                "participant's picture": inside.participant,
                "participant's log": inside.log,
            }

            def way(path: Path, folder: Path) -> tuple[str, str]:
                outcome = ways[name](path)
                for file in inside.left():
                    (folder / file.replace("/", "-")).touch()
                return outcome

            yield way


class _Inside:
    """A client of the application, with a study that people take part in."""

    def __init__(self, app: Any, client: Any) -> None:
        from web.conftest import swept
        from web.participant_page import Open, Person

        swept(app)
        self.app, self.client = app, client
        self.data: Path = app.state.settings.data_dir
        self.taking_part = Open(app)
        self.person = Person.agreed(client, self.taking_part.invitation)
        self.person.to_the_film()
        self.there = self._files()

    def _files(self) -> set[str]:
        """What lies in the data folder, without the database's own files."""
        found = (str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_file() or path.is_symlink())
        return {name for name in found if not name.startswith("mien.sqlite3")}

    def left(self) -> set[str]:
        """Reports are made anew of what there is, and are no leavings."""
        return {name for name in self._files() - self.there if "/reviews/" not in name}

    def send(self, address: str, path: Path, **fields: Any) -> Any:
        if not path.is_file() or str(path.resolve()).startswith("/dev"):
            return None
        return self.client.post(address, files={"file": (path.name, path.read_bytes())}, data=fields)

    def job(self, path: Path) -> tuple[str, str]:
        answer = self.send("/api/jobs", path, keep_film="false")
        if answer is None:
            return REFUSED, "no browser sends it"
        if answer.status_code != 201:
            return _answered(answer)
        return self._ended(answer.json()["id"])

    def _ended(self, id: str) -> tuple[str, str]:
        end = time.monotonic() + LIMIT_S
        while (found := self.client.get(f"/api/jobs/{id}").json())["state"] not in ("done", "failed"):
            if time.monotonic() > end:
                return HUNG, ""
            time.sleep(0.02)
        for page in (f"/api/jobs/{id}/result", f"/api/jobs/{id}/series", f"/api/jobs/{id}/archive.zip", f"/analyses/{id}"):
            if (answer := self.client.get(page)).status_code >= 500:
                return ESCAPED, f"{page}: {answer.text}"
        gone = self.client.delete(f"/api/jobs/{id}")
        if gone.status_code != 204:
            return ESCAPED, f"cannot be erased: {gone.text}"
        if found["state"] == "done":
            return READ, ""
        said = found["error"]
        unexpected = not said or "\n" in said or "Traceback" in said
        return (ESCAPED if unexpected else REFUSED), str(said)

    def film(self, path: Path) -> tuple[str, str]:
        id = self.client.post("/api/studies", json={"title": "x"}).json()["id"]
        try:
            answer = self.send(f"/api/studies/{id}/films", path)
            if answer is None:
                return REFUSED, "no browser sends it"
            if answer.status_code != 201:
                return _answered(answer)
            stimulus, end = answer.json()["definition"]["stimuli"][0]["id"], time.monotonic() + LIMIT_S
            while (found := self.client.get(f"/api/studies/{id}").json()["films"][0])["state"] == "converting":
                if time.monotonic() > end:
                    return HUNG, ""
                time.sleep(0.02)
            if found["state"] == "failed":
                return REFUSED, str(found["error"])
            shown = self.client.get(f"/api/studies/{id}/films/{stimulus}")
            return (READ if shown.status_code == 200 else ESCAPED), shown.text[:200] if shown.status_code != 200 else ""
        finally:
            self.client.delete(f"/api/studies/{id}").raise_for_status()

    def room(self, path: Path) -> tuple[str, str]:
        study = self.taking_part.study
        answer = self.send(f"/api/studies/{study}/rooms", path, stimulus="s2", agreed="true", offset_s="0")
        if answer is None:
            return REFUSED, "no browser sends it"
        if answer.status_code != 202:
            return _answered(answer)
        name, end = answer.json()["name"], time.monotonic() + LIMIT_S
        while (found := self.client.get(f"/api/studies/{study}/rooms/{name}").json())["state"] == "analysing":
            if time.monotonic() > end:
                return HUNG, ""
            time.sleep(0.02)
        self.client.delete(f"/api/studies/{study}/rooms/{name}").raise_for_status()
        return (READ, "") if found["state"] == "ready" else (REFUSED, str(found["error"]))

    def study(self, path: Path) -> tuple[str, str]:
        headers = {"Content-Type": "application/json"}
        answer = self.client.post("/api/studies/import", content=path.read_bytes(), headers=headers)
        if answer.status_code != 201:
            return _answered(answer)
        id = answer.json()["id"]
        for page in (f"/api/studies/{id}/export", f"/studies/{id}", "/api/studies"):
            if (shown := self.client.get(page)).status_code >= 400:
                return ESCAPED, f"{page}: {shown.text[:200]}"
        self.client.delete(f"/api/studies/{id}").raise_for_status()
        return READ, ""

    def live(self, path: Path) -> tuple[str, str]:
        """As a frame of a camera."""
        from mien.web.capture.wire import FrameHead, pack_frame
        from web.live_page import SOCKET, picture

        if not path.is_file() or str(path.resolve()).startswith("/dev"):
            return REFUSED, "no browser sends it"
        with self.client.websocket_connect(SOCKET) as socket_:
            socket_.send_text(json.dumps({"type": "hello"}))
            assert json.loads(socket_.receive_text())["type"] == "ready"
            outcome = _shown(socket_, pack_frame(FrameHead(0, 1000.0), path.read_bytes()), ("faces",))
            if "closed" not in outcome[1]:  # one that is well is read on the same socket
                after = _shown(socket_, pack_frame(FrameHead(1, 1001.0), picture()), ("faces",))
                outcome = outcome if after[0] == READ else (ESCAPED, f"the next frame: {after[1]}")
                socket_.close(1000)
        return outcome

    def participant(self, path: Path) -> tuple[str, str]:
        """As a frame of somebody who takes part."""
        from mien.web.capture.wire import FrameHead, pack_frame
        from web.participant_page import SOCKET

        if not path.is_file() or str(path.resolve()).startswith("/dev"):
            return REFUSED, "no browser sends it"
        with self.client.websocket_connect(SOCKET) as socket_:
            socket_.send_text(json.dumps({"type": "hello", "code": self.person.code, "stimulus": "check"}))
            ready = json.loads(socket_.receive_text())
            assert ready["type"] == "ready", ready
            head = FrameHead(ready["received"] + 1, 1000.0, film_s=0.0)
            outcome = _shown(socket_, pack_frame(head, path.read_bytes()), ("seen",))
            if "closed" not in outcome[1]:
                socket_.close(1001)
        return outcome

    def log(self, path: Path) -> tuple[str, str]:
        """As what a broken disk made of what was measured of somebody; then all that is made from it is asked for."""
        folder = self.app.state.studies.participant_folder(self.taking_part.study, self.taking_part.row().id)
        folder.mkdir(parents=True, exist_ok=True)
        study = self.taking_part.study
        try:
            for name in ("s1.log", "pictures.log"):
                shutil.copyfile(path, folder / name)
            for page in (
                f"/api/studies/{study}/viewers",
                f"/api/studies/{study}/viewers/1/export",
                f"/api/studies/{study}/review",
                f"/studies/{study}/review",
            ):
                if (answer := self.client.get(page)).status_code >= 500:
                    return ESCAPED, f"{page}: {answer.text}"
            for page in ("", "/export", "/curve"):
                if (answer := self.client.get(f"/api/participant{page}", headers=self.person.headers)).status_code >= 500:
                    return ESCAPED, f"/api/participant{page}: {answer.text}"
            _report(self.app, study)
        finally:
            shutil.rmtree(folder)
        return READ, ""


def _report(app: Any, study: str) -> None:
    from mien.web.reports.worker import make

    with tempfile.TemporaryDirectory() as scratch:
        task = {"data_dir": str(app.state.settings.data_dir), "database_url": app.state.settings.database_url, "study": study}
        make(task | {"until": None, "folder": scratch, "files": ["review.json"]})


def _answered(answer: Any) -> tuple[str, str]:
    well = 400 <= answer.status_code < 500 and answer.json()["error"]["code"] and answer.json()["error"]["message"]
    return (REFUSED if well else ESCAPED), f"{answer.status_code}: {answer.text[:300]}"


def _shown(socket_: Any, message: bytes, wanted: Sequence[str]) -> tuple[str, str]:
    """Sends a frame; the outcome of the first message that is about it."""
    from starlette.websockets import WebSocketDisconnect

    socket_.send_bytes(message)
    while True:
        try:
            told = json.loads(socket_.receive_text())
        except WebSocketDisconnect as error:
            return (REFUSED if error.code != 1011 else ESCAPED), f"closed with {error.code}: {error.reason}"
        if told["type"] in wanted:
            return READ, ""
        if told["type"] in ("problem", "error", "dropped"):
            well = "unexpected" not in json.dumps(told)
            return (REFUSED if well else ESCAPED), json.dumps(told)


DOORS: dict[str, tuple[Sequence[str], Callable[[], Any]]] = {
    "mien analyze": (MEDIA, lambda: command("analyze", "--no-video", "--out", "{out}", "{}")),
    "mien live": (MEDIA, lambda: command("live", "--seconds", "1", "--out", "{out}", "--source", "{}")),
    "mien data steps": (("picture", "other"), lambda: command("data", "steps", "{}", "--out", "{out}.png")),
    "mien data describe": (("table",), lambda: command("data", "describe", "{}")),
    "mien data prepare": (("table",), lambda: command("data", "prepare", "{}", "--out", "{out}")),
    "mien models show": (("bundle",), lambda: command("models", "show", "{}")),
    "mien models show --layers": (("recipe",), lambda: command("models", "show", "--layers", "{}")),
    "mien models pull": (("zip",), lambda: command("models", "pull", "mine", "--url", "file://{}", "--sha256", "{sha}")),
    "mien gather": (("result",), lambda: command("gather", "{}")),
    "mien study new": (("study",), lambda: command("study", "new", "--data", "{out}", "{}")),
    "mien study list": (("database",), lambda: command("study", "list", "--db", "sqlite:///{}", "--data", "{out}")),
    "Analyzer.picture": (MEDIA, lambda: call("picture")),
    "Analyzer.picture, of bytes": (MEDIA, lambda: call("picture of bytes")),
    "Analyzer.video": (MEDIA, lambda: call("video")),
    "Timeline.load": (("result",), lambda: call("Timeline.load")),
    "audience.align": (("result",), lambda: call("align")),
    "upload of an analysis": (MEDIA, lambda: server("upload")),
    "film of a study": (MEDIA, lambda: server("film of a study")),
    "room": (MEDIA, lambda: server("room")),
    "import of a study": (("study",), lambda: server("import of a study")),
    "live picture": (MEDIA, lambda: server("live picture")),
    "picture of a participant": (MEDIA, lambda: server("participant's picture")),
    "log of a participant": (("log",), lambda: server("participant's log")),
}
"""Door -> the kinds of inputs that it is given, and how it is made."""

KEEPS = {"mien analyze", "mien live", "mien data steps", "mien data prepare", "mien study new", "mien study list", "mien gather"}
"""Doors that write what they were asked for: what they wrote counts as left where the input was not read."""


# --- one door, in its process


def stand_at(door: str, inputs: Sequence[Hostile], home: Path, tell: Callable[[Met], Any], begin: Callable[[Hostile], Any]) -> None:
    """Gives a door its inputs, one after the other."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.environ["MIEN_HOME"], os.environ["MIEN_CACHE"] = str(home / "models"), str(home / "cache")
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    with DOORS[door][1]() as way:
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        before = set(temporary.iterdir())
        for number, input in enumerate(inputs):
            begin(input)
            folder = home / f"work{number}"
            folder.mkdir()
            os.chdir(folder)
            _forget_the_peak()
            began = _worked_s()
            signal.alarm(int(LIMIT_S))
            signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
            try:
                outcome, said = way(input.path, folder)
            except TooLong:
                outcome, said = HUNG, ""
            except Exception as error:
                outcome, said = ESCAPED, f"{type(error).__name__}: {error}"
            finally:
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
            seconds, peak = _worked_s() - began, _peak_mib()
            left = [str(path.relative_to(home)) for path in temporary.rglob("*") if not any(path.is_relative_to(b) for b in before)]
            if not (door in KEEPS and outcome == READ):
                # A data folder that was made for a study that was refused is empty, and is no leaving.
                kept = ("mien.sqlite3", "server.lock")
                files = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
                # A file of words is a list of files, of which a manifest is kept.
                left += [str(f) for f in files if not f.name.startswith(kept) and f.parts[:2] != ("out", ".manifest")]
            os.chdir(home)
            shutil.rmtree(folder)
            for path in set(temporary.iterdir()) - before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            tell(Met(door, input.kind, input.name, outcome, round(seconds, 3), round(peak, 1), said[:500], tuple(left[:5])))


def _worked_s() -> float:
    """Of a processor, by this process and those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _too_long(*_: object) -> None:
    raise TooLong


def _forget_the_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    """Of this process since the last `_forget_the_peak`, or of the largest that it ever started and has ended."""
    words = Path("/proc/self/status").read_text().split()
    own = int(words[words.index("VmHWM:") + 1]) / 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def _child() -> int:
    """`doors --door NAME`: inputs as JSON on standard input, what came of them as lines on standard output."""
    task = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**what: Any) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    def named(path: str) -> Path:
        return Path(os.fsdecode(base64.b64decode(path)))

    inputs = [Hostile(kind, name, named(path)) for kind, name, path in task["inputs"]]
    stand_at(task["door"], inputs, Path(task["home"]), lambda met: say(met=asdict(met)), lambda input: say(begin=input.name))
    return 0


def visited(door: str, inputs: Sequence[Hostile], trace: Path | None = None) -> Iterator[Met]:
    """What comes of each input at a door, in processes of their own.

    trace  where strace is to write which addresses were asked
    """
    waiting = list(inputs)
    while waiting:
        yield from _one_process(door, waiting, trace)


def _one_process(door: str, waiting: list[Hostile], trace: Path | None) -> Iterator[Met]:
    """Takes inputs from `waiting` until there are none, or one of them ends the process."""
    watched = ["strace", "-f", "--seccomp-bpf", "-qq", "-A", "-e", "trace=connect,bind", "-o", str(trace)] if trace else []
    command = [*watched, sys.executable, "-m", "hostile.doors", "--door", door]
    tests, given = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, *([given] if given else [])])}
    hung = threading.Event()
    with tempfile.TemporaryDirectory(prefix="mien-hostile-") as home, tempfile.TemporaryFile() as errors:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, start_new_session=True, env=environment)
        assert process.stdin is not None
        assert process.stdout is not None

        def kill() -> None:
            hung.set()
            os.killpg(process.pid, signal.SIGKILL)

        task = [(i.kind, i.name, base64.b64encode(os.fsencode(i.path)).decode()) for i in waiting]
        process.stdin.write(json.dumps({"door": door, "inputs": task, "home": home}).encode())
        process.stdin.close()
        clock = threading.Timer(0, kill)
        begun = False
        for line in process.stdout:
            told = json.loads(line)
            clock.cancel()
            begun = "begin" in told
            if begun:
                clock = threading.Timer(LIMIT_S + 60, kill)
                clock.daemon = True
                clock.start()
            else:
                waiting.pop(0)
                yield Met(**told["met"] | {"left": tuple(told["met"]["left"])})
        clock.cancel()
        code = process.wait()
        process.stdout.close()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
        if begun:
            first = waiting.pop(0)
            yield Met(door, first.kind, first.name, HUNG if hung.is_set() else ENDED, said=f"{code}: {said[-400:]}")
        elif waiting or code:
            raise RuntimeError(f"{door}: ended with {code} and {len(waiting)} inputs left:\n{said[-3000:]}")


# --- all doors, and the table


class Listener:
    """An address that inputs name. `asked` counts who came."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/asked"
        self.asked = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.socket.accept()
                self.asked += 1
                caller.close()

    def close(self) -> None:
        self.socket.close()


def unread(marker: Path) -> None:
    """Makes a file whose first reading shows at its time of access, where the disk notes any."""
    marker.write_text("MARKER-THAT-NOBODY-MAY-READ\n", encoding="utf-8")
    os.utime(marker, (1, time.time()))


def was_read(marker: Path) -> bool:
    return marker.stat().st_atime > 1


def addresses_asked(trace: Path) -> list[str]:
    """Connections to addresses, and sockets that listen at one, in what strace wrote; SQLAlchemy's and the tests' own have none."""
    if not trace.is_file():
        return []
    return [line for line in trace.read_text(errors="replace").splitlines() if "AF_INET" in line]


@dataclass(frozen=True, slots=True)
class Everything:
    """What came of all of it."""

    met: list[Met]
    inputs: int
    connections: int
    watched: bool
    marker_read: bool
    seconds: float


def try_all(
    folder: Path, *, one_in: int = 1, doors: Sequence[str] = (), progress: Callable[[str], Any] = lambda said: None
) -> Everything:
    """Each input of the corpus, or each so-manieth, at each door. Other inputs are left out at each door."""
    began, listener, marker, trace = time.monotonic(), Listener(), folder / "marker", folder / "trace"
    unread(marker)
    inputs = corpus(folder / "corpus", listener.address, marker)
    watched = (
        shutil.which("strace") is not None
        and subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0
    )
    met: list[Met] = []
    for number, (door, (kinds, _)) in enumerate(DOORS.items()):
        if doors and door not in doors:
            continue
        mine = [input for input in inputs if input.kind in kinds][number % one_in :: one_in]
        found = list(visited(door, mine, trace if watched else None))
        met += found
        for one in found:
            if one.outcome not in (READ, REFUSED) or one.left:
                progress(_told(one))
        progress(f"{door}: {len(found)}, {sum(m.seconds for m in found):.0f} s, {dict(Counter(m.outcome for m in found))}")
    listener.close()
    connections = listener.asked + len(addresses_asked(trace))
    return Everything(met, len(inputs), connections, watched, was_read(marker), time.monotonic() - began)


def table(all: Everything) -> str:
    """By door, as Markdown."""
    by_door: dict[str, list[Met]] = defaultdict(list)
    for one in all.met:
        by_door[one.door].append(one)
    names = ("door", "inputs", "read", "refused", "escaped", "hung or ended", "CPU s", "longest", "peak MiB", "left")
    lines = [f"| {' | '.join(names)} |", "| --- |" + " ---: |" * (len(names) - 1)]
    for door, met in [*by_door.items(), ("all", all.met)]:
        count = Counter(one.outcome for one in met)
        seconds = [one.seconds for one in met]
        cells = (
            *(door, len(met), count[READ], count[REFUSED], count[ESCAPED], count[HUNG] + count[ENDED]),
            *(
                f"{sum(seconds):.0f}",
                f"{max(seconds):.1f}",
                f"{max(one.peak_mib for one in met):.0f}",
                sum(bool(m.left) for m in met),
            ),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    how = "counted by strace and by a listener that inputs name" if all.watched else "counted by a listener that inputs name"
    lines += [
        "",
        f"{all.inputs} inputs. Connections opened: {all.connections} ({how}). Files read that inputs name: {int(all.marker_read)}.",
    ]
    return "\n".join(lines)


def wrong(all: Everything) -> list[Met]:
    """What should not have come of it."""
    return [one for one in all.met if one.outcome not in (READ, REFUSED) or one.left]


def _told(one: Met) -> str:
    return f"WRONG: {one.door} · {one.kind} · {one.name}: {one.outcome}: {one.said} {' '.join(one.left)}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--door", help=argparse.SUPPRESS)
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="each N-th input of each door")
    parser.add_argument("--only", action="append", default=[], metavar="DOOR", help="this door alone; again for more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what came of each input")
    options = parser.parse_args()
    if options.door:
        return _child()
    with tempfile.TemporaryDirectory(prefix="mien-hostile-") as folder:
        found = try_all(
            Path(folder), one_in=options.one_in, doors=options.only, progress=lambda said: print(said, file=sys.stderr, flush=True)
        )
    print(table(found))
    for one in wrong(found):
        print(_told(one))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found.met], indent=1), encoding="utf-8")
    return int(bool(wrong(found)) or found.connections > 0 or found.marker_read)


if __name__ == "__main__":
    sys.exit(main())
