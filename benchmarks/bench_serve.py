"""How long `mien serve` takes to answer: from exec to the first GET / and to the model being loaded, and how long it takes to stop.

python benchmarks/bench_serve.py [--runs N]
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import measure


def one(data: Path) -> tuple[float, float, float, float]:
    """Seconds: first page, CPU until then, the model's name (which waits for the model), stop."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[3]
    urllib.request.urlopen(address).read()
    page_s = time.perf_counter() - began
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split() if Path("/proc/self").exists() else []
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else float("nan")
    urllib.request.urlopen(f"{address}/api/info").read()
    model_s = time.perf_counter() - began
    stopping = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate()
    return page_s, cpu_s, model_s, time.perf_counter() - stopping


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds until mien serve answers.")
    parser.add_argument("--runs", type=int, default=7, help="runs of each; medians are printed; default 7")
    runs = parser.parse_args().runs
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        one(Path(scratch) / "warm")  # files into the system's cache, bytecode written
        found = {
            "first start, the database is made": [one(Path(scratch) / str(i)) for i in range(runs)],
            "later starts": [one(Path(scratch) / "warm") for _ in range(runs)],
        }
    for name, times in found.items():
        page_s, cpu_s, model_s, stop_s = (statistics.median(column) for column in zip(*times, strict=True))
        spread = f"{min(t[0] for t in times):.2f}–{max(t[0] for t in times):.2f}"
        rows.append([name, f"{page_s:.2f}", spread, f"{cpu_s:.2f}", f"{model_s:.2f}", f"{stop_s:.2f}"])
    measure.table(
        f"mien serve: medians of {runs} runs, warm file cache",
        ["", "first page, s", "range", "CPU s until then", "model loaded, s", "stop, s"],
        rows,
        f"Load of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
    )


if __name__ == "__main__":
    main()
