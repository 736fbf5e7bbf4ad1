"""What it costs to begin: CPU seconds and wall seconds of short commands, in processes of their own.

python benchmarks/bench_start.py [--runs N]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

FIND = "from mien.demo import PORTRAITS, installed_file; print(installed_file(*PORTRAITS[0]))"


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU and wall seconds of short commands.")
    parser.add_argument("--runs", type=int, default=7, help="runs of each; medians are printed; default 7")
    runs = parser.parse_args().runs
    portrait = subprocess.run([sys.executable, "-c", FIND], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "portrait.mien"
        commands: tuple[tuple[str, list[str]], ...] = (
            ("python -c pass", [sys.executable, "-c", "pass"]),
            ("import numpy", [sys.executable, "-c", "import numpy"]),
            ("import mien", [sys.executable, "-c", "import mien"]),
            ("mien --help", measure.mien("--help")),
            ("mien models list", measure.mien("models", "list")),
            ("mien analyze PORTRAIT --no-video", measure.mien("analyze", portrait, "--no-video", "--out", out)),
            ("mien analyze PORTRAIT", measure.mien("analyze", portrait, "--out", out)),
        )
        costs: dict[str, list[measure.Cost]] = {name: [] for name, _ in commands}
        for _, command in commands:
            measure.run(command)  # files into the system's cache, bytecode written
        for _ in range(runs):
            for name, command in commands:
                costs[name].append(measure.run(command))
    rows = []
    for name, _ in commands:
        cost = measure.median(costs[name])
        spread = f"{min(c.cpu_s for c in costs[name]):.2f}–{max(c.cpu_s for c in costs[name]):.2f}"
        rows.append([name, f"{cost.cpu_s:.2f}", spread, f"{cost.wall_s:.2f}", f"{cost.peak_bytes / 1e6:.0f}"])
    measure.table(
        f"Start: medians of {runs} runs, warm file cache",
        ["", "CPU s", "range", "wall s", "peak MB"],
        rows,
        "One portrait: detection, expression, all tables, plot and report.html. Figures of peers are not known.",
    )


if __name__ == "__main__":
    main()
