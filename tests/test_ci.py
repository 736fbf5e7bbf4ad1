"""The scripts of `.ci` and the Makefile: chromium is installed where it can be, and its absence is said and never fails."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "chromium"
NEEDED = ("bash", "sh", "id", "timeout", "mktemp", "grep", "tail", "rm")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs for a PATH that has the plainest tools and no browser."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        if (found := shutil.which(name)) is not None:
            (folder / name).symlink_to(found)
    return folder


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "CHROMIUM"}
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        [bash, SCRIPT, *arguments], env=clean | {"PATH": str(folder)} | environment, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_that_is_there_is_enough(bare: Path, name: str) -> None:
    program(bare, name, "exit 0")
    program(bare, "apt-get", "exit 1")
    done = run(bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_browser_may_be_named(bare: Path, tmp_path: Path) -> None:
    program(tmp_path, "mine", "exit 0")
    assert run(bare, CHROMIUM=str(tmp_path / "mine")).stderr == ""


def test_without_apt_it_is_said_and_nothing_fails(bare: Path) -> None:
    done = run(bare)
    assert done.returncode == 0
    assert "WILL BE SKIPPED" in done.stderr
    assert "no apt-get here" in done.stderr


def test_root_installs_it(bare: Path) -> None:
    program(bare, "id", "echo 0")
    program(
        bare, "apt-get", f'case "$*" in *install*) printf "#!/bin/sh\\n" > {bare}/chromium; /bin/chmod +x {bare}/chromium;; esac'
    )
    done = run(bare)
    assert done.returncode == 0
    assert "WILL BE SKIPPED" not in done.stderr
    assert (bare / "chromium").is_file()


def test_a_failed_install_is_said_each_time_and_tried_once(bare: Path, tmp_path: Path) -> None:
    program(bare, "id", "echo 0")
    program(bare, "apt-get", f"echo x >> {tmp_path}/tried; echo 'E: no such package' >&2; exit 100")
    stamp = tmp_path / "stamp"
    for _ in range(2):
        done = run(bare, str(stamp))
        assert done.returncode == 0
        assert "E: no such package" in done.stderr
        assert "WILL BE SKIPPED" in done.stderr
    assert (tmp_path / "tried").read_text(encoding="utf-8").split() == ["x", "x"]  # update and install, the first time


def test_an_install_that_hangs_is_ended(bare: Path) -> None:
    program(bare, "id", "echo 0")
    program(bare, "apt-get", "exec /bin/sleep 50")
    done = run(bare, CHROMIUM_INSTALL_LIMIT_S="1")
    assert done.returncode == 0
    assert "not done after 1 s" in done.stderr
    assert "WILL BE SKIPPED" in done.stderr


def test_others_are_not_asked_for_a_password(bare: Path, tmp_path: Path) -> None:
    program(bare, "id", "echo 1000")
    program(bare, "apt-get", f"echo x >> {tmp_path}/tried")
    program(bare, "sudo", "exit 1")
    done = run(bare)
    assert done.returncode == 0
    assert "without a password" in done.stderr
    assert not (tmp_path / "tried").exists()


def recipe(target: str) -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8").split(f"\n{target}:")[1].split("\n\n")[0]


@pytest.mark.parametrize("target", ["test", "test-more"])
def test_it_is_called_before_the_tests(target: str) -> None:
    assert recipe(target).index(".ci/chromium") < recipe(target).index("pytest")
    assert f"make {target}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_each_test_is_left_to_one_of_the_two() -> None:
    assert '-m "not more"\n' in recipe("test") + "\n"
    assert recipe("test-more").endswith("-m more")


HEAVY = {"torch", "lightning", "torchmetrics", "sklearn", "h5py", "psycopg", "playwright", "axe_playwright_python", "schemathesis"}
"""What the extra `test` has and `quick` has not."""


def imported(file: Path) -> set[str]:
    """Names of modules that a file imports as soon as it is imported."""
    names: set[str] = set()
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Import):
            names |= {found.name for found in line.names}
        elif isinstance(line, ast.ImportFrom) and line.module:
            names |= {line.module, *(f"{line.module}.{found.name}" for found in line.names)}
    return names


def test_what_make_quick_collects_imports_nothing_heavy() -> None:
    tests = ROOT / "tests"
    left_out = re.search(r"^NOT_QUICK = (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert left_out is not None
    places = [tests / name for name in left_out[1].split()]
    assert all(place.exists() for place in places)
    waiting = [file for file in tests.rglob("*.py") if not any(file.is_relative_to(place) for place in places)]
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        names = imported(file)
        assert not HEAVY & {name.partition(".")[0] for name in names}, file
        own = {tests / f"{name.replace('.', '/')}.py" for name in names}
        waiting += [found for found in own - seen if found.is_file()]
    assert tests / "web" / "test_routes.py" in seen
    assert tests / "browser" / "gallery.py" in seen
