"""What the statistics of an audience take: wall time and CPU time of each step, and the most memory.

python benchmarks/bench_audience.py [--viewers V] [--times T]

The audience is made: V viewers, T times, eight labels, a tenth of the cells unseen, two planted reactions. All is done in a process
of its own with one thread.
"""

import argparse
import json
import os
import subprocess
import sys

import measure

WORK = """
import json, resource, sys, time
import numpy as np
from scipy.signal import lfilter
from mien import audience
from mien.labels import FERPLUS
from mien.types import MediaInfo, Timeline

viewers, times = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
step_s = 1.5
info = MediaInfo("made", "video", 640, 360, None, None, None, False, "made")
timelines = []
for _ in range(viewers):
    x = lfilter([0.8], [1, -0.8], rng.normal(size=(3 * times, 8)), axis=0)
    x[:, 0] += 2
    for start in (times // 4, times // 2):
        x[3 * start : 3 * start + 24, 1] += 3
    e = np.exp(x).astype(np.float32)
    e /= e.sum(axis=1, keepdims=True)
    rows = np.flatnonzero(rng.random(3 * times) > 0.1)
    n = len(rows)
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (n, 1))
    at = np.arange(3 * times) * 0.5
    timelines.append(Timeline(info, FERPLUS, np.arange(len(at)), at, rows, np.ones(n), boxes, np.ones(n), e[rows], e[rows]))
floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = []

def step(name, work):
    began, cpu_began = time.perf_counter(), time.process_time()
    found = work()
    taken, cpu_taken = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows.append([name, taken, cpu_taken, (peak - floor) / 1024])
    return found

given = step("align", lambda: audience.align(timelines, step_s=step_s))
given = step("smoothed", lambda: given.smoothed(2))
step("mean_curves, 9 signals, 1,000 draws", lambda: audience.mean_curves(given))
step("synchrony with windows, 200 shifts", lambda: audience.synchrony(given))
step("synchrony of the 8 labels", lambda: audience.synchronies(given, FERPLUS, window_s=None))
found = step("moments, 200 shifts", lambda: audience.moments(given))
step("10 markers × 9 signals", lambda: [audience.marker_effects(given, t) for t in range(10, 110, 10)])
step("compare, 1,000 draws", lambda: audience.compare(given, [i % 2 for i in range(viewers)], "happiness"))
assert {round(m.time_s / step_s / (times // 4)) for m in found} == {1, 2}, found
print(json.dumps({"rows": rows, "start": floor / 1024}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time and memory of the statistics of an audience.")
    parser.add_argument("--viewers", type=int, default=200, help="default 200")
    parser.add_argument("--times", type=int, default=3600, help="of the grid; default 3600: 90 minutes, one each 1.5 s")
    options = parser.parse_args()
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-c", WORK, str(options.viewers), str(options.times)]
    done = subprocess.run(command, env=os.environ | one_thread, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    rows = [[name, f"{wall_s:.2f}", f"{cpu_s:.2f}", f"{peak_mb:,.0f}"] for name, wall_s, cpu_s, peak_mb in found["rows"]]
    wall_s, cpu_s = (sum(row[k] for row in found["rows"]) for k in (1, 2))
    rows.append(["all", f"{wall_s:.2f}", f"{cpu_s:.2f}", rows[-1][3]])
    measure.table(
        f"An audience of {options.viewers} viewers, {options.times:,} times, one thread",
        ["step", "wall s", "CPU s", "peak MiB so far"],
        rows,
        f"Peak: beyond the {found['start']:,.0f} MiB that Python, SciPy and the Timelines take before it.",
    )


if __name__ == "__main__":
    main()
