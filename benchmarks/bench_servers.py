"""Two servers over one PostgreSQL, one of which is killed: python benchmarks/bench_servers.py [--uploads 50] [--workers 1]

Pictures are sent to two `mien serve` with one database and one data folder, in turn; once a quarter of them is done, one server is
killed in the midst of an analysis. Printed is how many times each was begun and done, counted by PostgreSQL itself. With --workers
what takes long is done by so many workers of a Dask scheduler. Needs Debian's postgresql.
"""

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import measure

sys.path.insert(0, str(measure.ROOT / "tests"))

LIMIT_S = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    from two_servers import dask, uploads_and_a_kill
    from web.conftest import started_postgres

    with tempfile.TemporaryDirectory() as folder, contextmanager(started_postgres)() as url:
        made = Path(folder)
        engine: Any = dask(options.workers, made / "dask.log") if options.workers else nullcontext("")
        with engine as address:
            found = uploads_and_a_kill(url, made, options.uploads, address, LIMIT_S)
    states = Counter(job["state"] for job in found.ended)
    print(
        f"{options.uploads} uploads, two servers, {options.workers or 'no'} Dask workers, one server killed: {found.seconds:.0f} s"
    )
    print(f"ended as: {', '.join(f'{state} {count}' for state, count in states.items())}")
    print(f"done {sum(found.done.values())} times, each at most {max(found.done.values())}, at least {min(found.done.values())}")
    print(f"begun {sum(found.begun.values())} times: once each, and {len(found.twice)} again that the killed server had in work")
    assert found.begun == {job: 1 + (job in found.twice) for job in found.begun}


if __name__ == "__main__":
    main()
