"""docs/cli.md out of the real `--help` of every command.

python docs/make_cli.py            writes docs/cli.md
python docs/make_cli.py --check    exits 1 where docs/cli.md is stale
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mien.cli import build_parser

PAGE = Path(__file__).parent / "cli.md"

HEAD = """# The command line

Made by `python docs/make_cli.py` from the `--help` of every command; a test compares the two. To change this page, change the
help texts and run the script again.

Every command takes `--debug`, which shows the traceback of an error. Errors are one line on stderr.

| exit code | means |
| ---: | --- |
| 0 | done |
| 1 | a medium, a model or data is at fault; of many files, at least one |
| 2 | wrong usage |
| 130 | interrupted with Ctrl-C; nothing half-written is left |

Two environment variables move where mien keeps things of its own: `MIEN_HOME` (models that were pulled) and `MIEN_CACHE`
(training pictures, prepared). Results go where you say, and nowhere else.
"""


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser itself, then those of its sub-commands, depth first, in the order of the help."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands(below)


def render() -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for parser in commands(build_parser()):
        parser.color = False  # type: ignore[attr-defined]  # Python 3.14 colours help texts
        parts.append(f"## {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def is_fresh() -> bool:
    """Whether the page says what the commands say. Line breaks are not compared: newer Pythons break usage lines elsewhere."""
    return PAGE.is_file() and PAGE.read_text(encoding="utf-8").split() == render().split()


def main() -> int:
    parser = argparse.ArgumentParser(description="Make docs/cli.md from the help texts of mien.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is stale")
    if parser.parse_args().check:
        if is_fresh():
            return 0
        print(f"{PAGE.name}: stale; run: python docs/make_cli.py", file=sys.stderr)
        return 1
    PAGE.write_text(render(), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
