"""The list of what mien stands on is made from what packages say of themselves."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def dependencies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dependencies", ROOT / "docs" / "make_dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "said", "free"),
    [
        ("a", "MIT License", True),
        ("a", "BSD-3-Clause AND Zlib", True),
        ("a", "GNU Lesser General Public License v3 (LGPLv3)", True),
        ("a", "GPL-3.0-only", False),
        ("a", "a limited licence", False),
        ("a", "", False),
        ("nvidia-cublas", "NVIDIA Proprietary Software", True),
    ],
)
def test_which_licences_are_free(dependencies: ModuleType, name: str, said: str, free: bool) -> None:
    assert dependencies.is_free(name, said) is free


def test_what_is_needed_is_followed_to_its_end(dependencies: ModuleType) -> None:
    found = dependencies.reached({"": ["matplotlib>=3"], "web": ["Jinja2"], "x": ["not-installed-anywhere"]})
    assert {"matplotlib", "numpy", "contourpy", "jinja2", "markupsafe"} <= set(found)
    assert found["contourpy"][1] == {""}
    assert found["markupsafe"][1] == {"web"}
    assert "not-installed-anywhere" not in found


def test_the_page_names_all_that_pyproject_asks_for(dependencies: ModuleType) -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \|", text, re.MULTILINE))
    asked = dependencies.needed(dependencies.PROJECT, dependencies.EXTRAS)
    names = {dependencies.plain(re.split(r"[\[<>=]", line)[0]) for lines in asked.values() for line in lines}
    assert names <= listed
    assert "not said" not in text
