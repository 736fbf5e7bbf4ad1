"""docs/web.md says what the application does."""

import re
from pathlib import Path

from mien.web.settings import SETTINGS, variable

PAGE = Path(__file__).parents[2] / "docs" / "web.md"


def settings_table() -> str:
    """The table of docs/web.md, out of the settings themselves."""
    lines = ["| variable | by default | unit | sets |", "| --- | --- | --- | --- |"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default not in ("", ()) else "–"
        lines.append(f"| `{variable(setting.name)}` | {default} | {setting.unit or '–'} | {setting.meaning} |")
    return "\n".join(lines)


def test_the_table_of_settings_is_that_of_the_program() -> None:
    found = PAGE.read_text(encoding="utf-8").split("<!-- settings:begin -->\n")[1].split("\n<!-- settings:end -->")[0]
    assert found == settings_table()


def test_limits_have_units_in_their_names() -> None:
    for setting in SETTINGS:
        if setting.unit:
            assert re.search(r"_(mib|kib|gib|minutes|minute|hours|days|s|megapixels|px)$", setting.name), setting.name
