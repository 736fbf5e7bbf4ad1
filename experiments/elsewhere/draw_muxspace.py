"""Draws the development set from elsewhere: 360 faces for each of three expressions out of muxspace/facial_expressions.

    python experiments/elsewhere/draw_muxspace.py REPOSITORY OUT

REPOSITORY is a clone of github.com/muxspace/facial_expressions (its .git, or a bare one). OUT gets a folder per expression, which
`mien evaluate MODEL --data OUT --protocol labels --split all` reads. The pictures stay outside this repository; muxspace.csv beside
this file holds their names, labels and SHA-256, and a set that differs from it is refused. --write makes that list anew.

The labels are weak (one person's, or a search's): of the eight words these three are usable. The set serves to choose by; no
network is trained on it.
"""

import argparse
import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np

EXPRESSIONS = ("happiness", "surprise", "neutral")
OF_EACH = 360
SEED = 0
LIST = Path(__file__).with_name("muxspace.csv")


def file_of(repository: Path, path: str) -> bytes:
    """A file of the newest commit. Raises `CalledProcessError` where it is missing."""
    return subprocess.run(["git", "-C", str(repository), "show", f"HEAD:{path}"], check=True, capture_output=True).stdout


def drawn(repository: Path) -> list[tuple[str, str]]:
    """(name, expression) of the faces: of each expression, sorted by name, so many by the seed."""
    rows = csv.DictReader(io.StringIO(file_of(repository, "data/legend.csv").decode()))
    names: dict[str, set[str]] = {expression: set() for expression in EXPRESSIONS}
    for row in rows:
        names.get(row["emotion"].strip().lower(), set()).add(row["image"])
    rng, found = np.random.default_rng(SEED), []
    for expression in EXPRESSIONS:
        known = sorted(names[expression])
        found += [(known[i], expression) for i in np.sort(rng.choice(len(known), OF_EACH, replace=False))]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path, metavar="REPOSITORY")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--write", action="store_true", help="write muxspace.csv anew instead of comparing with it")
    options = parser.parse_args()
    rows = []
    for name, expression in drawn(options.repository):
        picture = file_of(options.repository, f"images/{name}")
        folder = options.out / expression
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture)
        rows.append([name, expression, hashlib.sha256(picture).hexdigest()])
    if options.write:
        with LIST.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([["name", "expression", "sha256"], *rows])
    with LIST.open(newline="", encoding="utf-8") as file:
        wanted = list(csv.reader(file))[1:]
    if rows != wanted:
        differ = sum(row not in wanted for row in rows)
        print(f"{options.repository}: {differ} of {len(rows)} pictures are not those of {LIST.name}", file=sys.stderr)
        return 1
    print(f"{len(rows)} faces: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
