"""What slow, many and passing callers cost everybody else: an honest request beside them, the server's memory and its log.

python benchmarks/bench_callers.py [--half N] [--many N] [--churn S]

Half requests and idle connections come from eight addresses of loopback, so that the limit of all is met, not that of one. Linux.
"""

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import measure

HALF = b"GET /api/info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "


def honest(address: str, count: int = 20) -> list[float]:
    """Milliseconds that requests took, each on a connection of its own."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        urllib.request.urlopen(f"{address}/api/info", timeout=60).read()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def connected(port: int, number: int, said: bytes = b"") -> socket.socket:
    made = socket.socket()
    made.bind((f"127.0.0.{2 + number % 8}", 0))
    made.settimeout(60)
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
    options = parser.parse_args()
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
