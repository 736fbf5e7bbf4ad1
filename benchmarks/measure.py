"""What the benchmarks share: a child process with its cost, a table, and the film that they look at.

Nothing heavy is imported here, and nothing else should be by a script that measures memory: on Linux the peak of a child begins at
what its parent held when it was started.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT.parent / "shared/media/sad_to_happy.mp4"
"""One woman, 472 frames of 640×360; beside the repository on machines that have it."""

MAKE_DEMO = "import sys; from pathlib import Path; from mien.demo import demo_film; demo_film(Path(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: CPU seconds and wall seconds, and the most memory it held, in bytes."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


def run(command: Sequence[str | os.PathLike[str]], *, may_fail: bool = False) -> Cost:
    """Runs a command to its end, with its output thrown away. Raises `RuntimeError` where it fails."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not may_fail:
        raise RuntimeError(f"exit code {child.returncode} from: {' '.join(map(str, command))}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit)


def mien(*arguments: str | os.PathLike[str]) -> list[str]:
    """The command line `mien …` in this Python."""
    return [sys.executable, "-m", "mien.cli", *map(os.fspath, arguments)]


@contextmanager
def serving(data: Path) -> Iterator[tuple[str, int]]:
    """`mien serve` with its data there, while the block runs: its address and process id. Raises `RuntimeError` where it fails."""
    with subprocess.Popen(mien("serve", "--port", "0", "--data", data), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline().split()
        address = next((word for word in said if word.startswith("http")), None)
        if address is None:
            raise RuntimeError("mien serve did not start")
        try:
            yield address, server.pid
        finally:
            server.terminate()
            server.wait(30)


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(c.cpu_s for c in costs),
        statistics.median(c.wall_s for c in costs),
        round(statistics.median(c.peak_bytes for c in costs)),
    )


def film(given: Path | None, scratch: Path) -> Path:
    """The film that was asked for, else the clip beside the repository, else the demo film."""
    if given is not None:
        return given
    if CLIP.is_file():
        return CLIP
    made = scratch / "demo.mp4"
    run([sys.executable, "-c", MAKE_DEMO, made])
    return made


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> None:
    """Prints a Markdown table: the first column to the left, the others to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return (
            "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) + " |"
        )

    print(f"{title}\n")
    print(line(cells[0]))
    print("| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |")
    for row in cells[1:]:
        print(line(row))
    print()
    for note in notes:
        print(note)
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
