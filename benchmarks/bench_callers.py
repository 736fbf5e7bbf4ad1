"""What slow, many and passing callers cost everybody else: an honest request beside them, the server's memory and its log.

python benchmarks/bench_callers.py [--half N] [--many N] [--churn S] [--before FOLDER]

With `--before`, a checkout of an earlier version, its server and that of today meet half requests and half handshakes in turn;
each may open 1,024 files until it asks for more, as systems have it.
Half requests and idle connections come from eight addresses of loopback, so that the limit of all is met, not that of one. Linux.
"""

import argparse
import contextlib
import os
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import measure
from mien.web.network import own_certificate

HALF = b"GET /api/info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


UNANSWERED_S = 20.0
"""An honest request is given up after so long."""

ANY = ssl._create_unverified_context()


def honest(address: str, count: int = 20) -> list[float]:
    """Milliseconds that requests took, each on a connection of its own; inf for one that was not answered."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        try:
            urllib.request.urlopen(f"{address}/api/info", timeout=UNANSWERED_S, context=ANY).read()
            taken.append((time.perf_counter() - began) * 1000)
        except OSError:
            taken.append(float("inf"))
    return taken


def hello() -> bytes:
    """What a browser says first over https, and then no more."""
    said = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ANY.wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost").do_handshake()
    return said.read()


def beside(source: Path, half: int, scratch: Path, *, secure: bool) -> list[str]:
    """An honest request beside half requests, or half handshakes, to the server of a checkout, and what it wrote into its log."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    if secure:
        environment["MIEN_TLS_CERT"] = str(own_certificate(scratch / "certificate.pem", ["localhost", "127.0.0.1"]))
    with (scratch / "log").open("wb") as log:
        command = measure.mien("serve", "--port", "0", "--data", scratch / "data")
        usual = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", *command]
        server = subprocess.Popen(usual, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        port = int(address.rpartition(":")[2].strip("/"))
        honest(address, 3)
        began = time.monotonic()
        kinds = (b"", b"\x16", hello()) if secure else (HALF,)
        held = []
        for number in range(half):
            with contextlib.suppress(OSError):  # refused
                held.append(connected(port, number, kinds[number % len(kinds)], within_s=5))
        taken = honest(address, 5)
        for one in held:
            one.close()
        server.kill()
        server.wait()
    lasted, size = time.monotonic() - began, (scratch / "log").stat().st_size
    middle = f"{statistics.median(taken):.0f}" if statistics.median(taken) < float("inf") else f"none in {UNANSWERED_S:.0f} s"
    return [str(sum(one < float("inf") for one in taken)), middle, str(size), f"{lasted:.0f}"]


def before_and_after(before: Path, half: int) -> None:
    rows = []
    for secure in (False, True):
        for name, source in (("before", before / "src"), ("after", measure.ROOT / "src")):
            with tempfile.TemporaryDirectory() as scratch:
                what = f"{half} half {'handshakes' if secure else 'requests'}, {name}"
                rows.append([what, *beside(source, half, Path(scratch), secure=secure)])
    measure.table(
        "Callers: an honest request beside half ones, before and after",
        ["", "answered, of 5", "median, ms", "log, bytes", "in s"],
        rows,
        f"Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
    )


def connected(port: int, number: int, said: bytes = b"", within_s: float = 60) -> socket.socket:
    made = socket.socket()
    made.bind((f"127.0.0.{2 + number % 8}", 0))
    made.settimeout(within_s)
    made.connect(("127.0.0.1", port))
    made.sendall(said)
    return made


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def memory_mib(pid: int) -> float:
    words = Path(f"/proc/{pid}/status").read_text().split()
    return int(words[words.index("VmRSS:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="What slow, many and passing callers cost everybody else.")
    parser.add_argument("--half", type=int, default=1300, help="half requests at once; default 1300")
    parser.add_argument("--many", type=int, default=5000, help="connections that ask for nothing; default 5000")
    parser.add_argument("--churn", type=float, default=20, help="seconds in which callers come and go; default 20")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier version to set beside today's")
    options = parser.parse_args()
    if options.before is not None:
        before_and_after(options.before, options.half)
        return
    rows = []
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as closing:
        said = Path(scratch) / "log"
        log = closing.enter_context(said.open("wb"))
        command = measure.mien("serve", "--port", "0", "--data", Path(scratch) / "data")
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        port = int(address.rpartition(":")[2].strip("/"))
        honest(address)

        def row(name: str, taken: list[float], open_: int) -> None:
            numbers = (f"{statistics.median(taken):.0f}", f"{max(taken):.0f}", str(open_), f"{memory_mib(server.pid):.0f}")
            rows.append([name, *numbers, str(said.stat().st_size)])

        row("alone", honest(address), 0)
        crowds = ((f"{options.half} half requests", options.half, HALF), (f"{options.many} idle", options.many, b""))
        for name, count, begun in crowds:
            held = [connected(port, number, begun) for number in range(count)]
            taken = honest(address)
            row(f"beside {name}", taken, sum(is_open(one) for one in held))
            for one in held:
                one.close()
        row("after them", honest(address), 0)
        taken, end = [], time.monotonic() + options.churn
        while time.monotonic() < end:
            for number in range(50):
                connected(port, number, HALF if number % 2 else b"").close()
            taken += honest(address, 1)
        row(f"{len(taken) * 50} that come and go in {options.churn:.0f} s", taken, 0)
        server.send_signal(signal.SIGINT)
        server.communicate()
    measure.table(
        "Callers: an honest request beside others",
        ["", "median, ms", "longest, ms", "still open", "server, MiB", "log, bytes"],
        rows,
        f"Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
    )


if __name__ == "__main__":
    main()
