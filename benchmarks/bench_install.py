"""What `pip install .` downloads: every wheel of the core, summed. Needs the network, or an index that pip knows.

python benchmarks/bench_install.py
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

LIMIT_MB = 250
PEERS = (("rmn 3.3.0, weights alone, its README", 526.0),)


def main() -> None:
    argparse.ArgumentParser(description="Size of what pip downloads for the core.").parse_args()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as scratch:
        own, all_of_it = Path(scratch) / "own", Path(scratch) / "all"
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", own, measure.ROOT], check=True)
        wheel = next(own.glob("mien-*.whl"))
        subprocess.run([*pip, "download", "--dest", all_of_it, wheel], check=True)
        sizes = {path.name: path.stat().st_size / 1e6 for path in all_of_it.iterdir()}
    rows = [["-".join(name.split("-")[:2]), f"{size:.1f}"] for name, size in sorted(sizes.items(), key=lambda item: -item[1])]
    total = sum(sizes.values())
    rows.append([f"all {len(rows)}, mien included", f"{total:.1f}"])
    rows += [[name, f"{size:.1f}"] for name, size in PEERS]
    torch = [name for name in sizes if name.startswith(("torch", "nvidia", "lightning"))]
    measure.table(
        f"Install: what pip downloads for the core ({'within' if total <= LIMIT_MB else 'ABOVE'} the {LIMIT_MB} MB asked for)",
        ["wheel", "MB"],
        rows,
        f"torch among them: {', '.join(torch) or 'no'}.",
    )


if __name__ == "__main__":
    main()
