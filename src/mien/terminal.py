"""What all commands share: how their help looks, numbers as arguments, progress bars."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


class Help(argparse.RawDescriptionHelpFormatter):
    """A fixed width, so that docs/cli.md and a terminal show the same."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100, max_help_position=26)


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
    """A parser for the command `name`, which `run` does; `text` says what it does, `more` what else to know."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=more, formatter_class=Help)
    parser.set_defaults(run=run)
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def amount(text: str) -> float:
    """A number of 0 or more, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"wanted a number, 0 or more, but got {text!r}")
    return value


def count(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number, 1 or more, but got {text!r}")
    return int(text)


def bar(**options: Any) -> Any:
    """A progress bar on stderr."""
    from tqdm import tqdm

    # delay: nothing is shown of what takes less than two seconds; disable=None: nor where stderr is no terminal.
    return tqdm(file=sys.stderr, disable=None, delay=2, dynamic_ncols=True, **options)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be told (done, total), which shows a bar from the first call to the end of the block."""
    shown: Any = None

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            shown = bar(total=total, desc=what, leave=False)
        shown.update(done - shown.n)

    try:
        yield progress
    finally:
        if shown is not None:
            shown.close()
