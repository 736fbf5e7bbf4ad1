"""The work of an experiment: what is left to do is trained, scored and put into one table and one page.

Each row and seed is a run folder below OUT. Finished runs are read, stopped ones go on, a failed one is a row that says why. The
tables are written anew after every run, so that they can be looked at, and the work broken off, at any time.
"""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mien.errors import DataError, MienError
from mien.training.experiment import FAILURES, Cell, Experiment, Result, of_cell, read_result, read_results, write_csv
from mien.training.layouts import SPLITS
from mien.training.paper_tables import markdown
from mien.training.run_folder import read_json, read_run, write_json
from mien.training.run_page import comparison_page, write_run_page
from mien.whole_file import whole_file


def compare(
    experiment: Experiment,
    data: Path | None,
    out: Path,
    *,
    read_only: bool = False,
    only: Sequence[str] = (),
    threads: int = 1,
    accelerator: str = "auto",
    precision: str = "32-true",
    layout: str = "auto",
    progress: bool = True,
    told: Callable[[Result], None] = lambda result: None,
    epoch_told: Callable[[str], Callable[[str], None]] | None = None,
) -> list[Result]:
    """Run what is left of an experiment into the folder `out`, and write table.csv, table.md and index.html there.

    `told` hears of each result as soon as it is there, and what `epoch_told` gives for the name of a run hears of its epochs.
    `only` names the rows that are trained, where not all are. Nothing is trained or scored where `read_only` is on; then `data`
    may be None. A run that fails is noted in failures.json, tried again the next time, and stops no other. Raises `DataError`
    where `out` cannot be written, `ValueError` without data where there is something to train, or where no row has a name of
    `only`.
    """
    if unknown := sorted(set(only) - {cell.row for cell in experiment.cells}):
        known = ", ".join(dict.fromkeys(cell.row for cell in experiment.cells))
        raise ValueError(f"no row {', '.join(unknown)} in {experiment.name}; known: {known}")
    if data is None and not read_only:
        raise ValueError("data must be given unless read_only is on")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    for cell in experiment.cells:
        if only and cell.row not in only:
            continue
        if not read_only and data is not None:
            how = {"threads": threads, "accelerator": accelerator, "precision": precision, "progress": progress}
            heard = {"epoch_told": epoch_told(cell.folder)} if epoch_told is not None else {}
            _run(cell, data / cell.data, out, layout, **how, **heard)
        told(read_result(cell, out))
        if not read_only:
            write_tables(experiment, read_results(experiment, out), out)
    results = read_results(experiment, out)
    write_tables(experiment, results, out)
    return results


def _run(cell: Cell, data: Path, out: Path, layout: str, **how: Any) -> None:
    """Train (`how` says in what way) and score a cell as far as that is left to do; a failure goes into failures.json."""
    from mien.training.scoring import measure_network, score_kept, score_run, score_svm
    from mien.training.train import train

    run = out / cell.folder
    try:
        if not (run / "recipe.json").is_file() or not of_cell(read_run(run), cell).finished:
            train(cell.recipe, data, run, resume=True, layout=layout, **how)
        measure_network(run)
        for split in SPLITS:
            score_run(run, data, split, layout=layout)
        if cell.recipe.keep:
            score_kept(run, data, layout=layout)
        if cell.svm:
            score_svm(run, data, layout=layout)
        write_run_page(run)
    except Exception as error:  # whatever it is, the other runs go on; the reason stands in the table
        _note_failure(out, cell, f"{error}" if isinstance(error, MienError) else f"{type(error).__name__}: {error}")
    else:
        _note_failure(out, cell, "")
    gc.collect()  # the trainer, its network and its faces know each other in a circle


def _note_failure(out: Path, cell: Cell, reason: str) -> None:
    path = out / FAILURES
    noted = read_json(path) if path.is_file() else {}
    before = dict(noted)
    noted.pop(cell.folder, None)
    if reason:
        noted[cell.folder] = " ".join(reason.split())
    if noted != before:
        write_json(path, noted)


def write_tables(experiment: Experiment, results: Sequence[Result], out: Path) -> None:
    """table.csv (a row per run), table.md (a row per row, mean ± standard deviation over seeds) and index.html."""
    texts = {
        "table.md": markdown(experiment, results),
        "index.html": comparison_page(experiment, results),
    }
    write_csv(results, out / "table.csv")
    for name, text in texts.items():
        with whole_file(out / name) as part:
            part.write_text(text, encoding="utf-8")
