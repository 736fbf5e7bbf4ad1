"""A real `mien serve` in its own process, for tests that speak to it through a socket."""

import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

PATIENCE_S = 240.0
"""What a start, a stop or an answer may take where the cores have much else to do. What comes sooner is not waited for; how quick
the server is on a quiet machine says benchmarks/bench_serve.py."""


class KeptPort:
    """A free port of loopback that nobody else gets who asks for any: for one server, also before it listens and while it is down.

    A socket is bound to it that never listens. Linux lets a server with SO_REUSEADDR listen beside it; other systems let nobody, so
    there it is closed at once and the port is only free. It is given back when this object is gone.
    """

    def __init__(self) -> None:
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        self.number = int(keeper.getsockname()[1])
        self.give_back = weakref.finalize(self, keeper.close)
        if not sys.platform.startswith("linux"):
            self.give_back()


class Server:
    """`mien serve` on a free port of loopback with `data` as its folder; killed and started again it keeps both.

    host        the address of this machine's to share it at with `mien serve --share`; empty: loopback, without https
    settings    given as environment variables, `password="x"` as MIEN_PASSWORD=x
    """

    def __init__(self, data: Path, *, host: str = "", **settings: Any) -> None:
        self.data = data
        self._kept = KeptPort()
        self.port = self._kept.number
        secure = bool(host) or "tls_cert" in settings
        self.url = f"{'https' if secure else 'http'}://{host or '127.0.0.1'}:{self.port}"
        self.where = ["--share", "--host", host] if host else ["--host", "127.0.0.1"]
        self.reach: dict[str, Any] = {"verify": False} | ({"trust_env": False} if secure else {})
        """Its own certificate, and by no proxy, though the address may not look like this machine's. Without https there is none to
        check, and reading those of the world would cost each client .03 CPU s."""
        self.headers = {"Authorization": f"Bearer {settings['token']}"} if "token" in settings else {}
        self.log = data.with_name(f"{data.name}.log")
        self.environment = {f"MIEN_{name.upper()}": str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Raises `AssertionError` with the server's own words where it is not ready in `PATIENCE_S`."""
        command = [sys.executable, "-m", "mien", "serve", *self.where, "--port", str(self.port), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | self.environment, start_new_session=True
            )
        end = time.monotonic() + PATIENCE_S
        with httpx.Client(timeout=30, **self.reach) as client:
            while time.monotonic() < end and self.process.poll() is None:
                try:
                    client.get(f"{self.url}/api/info")
                except httpx.TransportError:
                    time.sleep(0.05)
                else:
                    return self
        ended = self.process.poll()
        self.kill()
        what = f"is not ready after {PATIENCE_S:g} s" if ended is None else f"ended with {ended}"
        raise AssertionError(f"mien serve {what}:\n{self.said()}")

    def said(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""

    def stop(self) -> int:
        """Ctrl-C, as a person would; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"mien serve did not stop within {PATIENCE_S:g} s of Ctrl-C:\n{self.said()}") from None

    def kill(self) -> None:
        """kill -9 of the server alone, as a crash would; what it started must notice by itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    def client(self, **options: Any) -> httpx.Client:
        """Speaks to it as a program does: no cookie, no Origin."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S, **self.reach | {"headers": self.headers} | options)

    def analyse(self, file: Path, name: str | None = None, **options: Any) -> dict[str, Any]:
        """Upload a file and wait for its end; the job as JSON."""
        with self.client() as client:
            with file.open("rb") as content:
                answer = client.post("/api/jobs", files={"file": (name or file.name, content)}, data=options)
            assert answer.status_code == 201, answer.text
            return self.ended(answer.json()["id"])

    def ended(self, job: str, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """The job as JSON once it is done, failed or cancelled."""
        end = time.monotonic() + limit_s
        with self.client() as client:
            while time.monotonic() < end:
                found: dict[str, Any] = client.get(f"/api/jobs/{job}").raise_for_status().json()
                if found["state"] in ("done", "failed", "cancelled"):
                    return found
                time.sleep(0.1)
        raise AssertionError(f"job {job} is not done after {limit_s:g} s: {found}\n{self.said()}")
