"""Pages that are one file: what is put into templates, scripts and policies. In a browser: tests/browser/test_review.py."""

import re
from pathlib import Path

import pytest

from mien import page_file


def module(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_modules_are_joined_in_the_order_of_their_imports(tmp_path: Path) -> None:
    module(tmp_path, "deep/one.js", "const own = 1;\nexport const one = own;\nexport async function two() {}\n")
    module(tmp_path, "next.js", 'import { one } from "./deep/one.js";\nconst own = one;\nexport class Next {}\n')
    entry = module(
        tmp_path, "entry.js", 'import { Next } from "./next.js";\nimport { two as other } from "./deep/one.js";\nother(Next);\n'
    )
    assert page_file.script(entry).splitlines() == [
        *("const $0 = (() => {", "const own = 1;", "const one = own;", "async function two() {}", "return { one, two };", "})();"),
        *("const $1 = (() => {", "const { one } = $0;", "const own = one;", "class Next {}", "return { Next };", "})();"),
        *("const { Next } = $1;", "const { two: other } = $0;", "other(Next);"),
    ]


def test_modules_that_pages_share_are_found_where_the_web_application_serves_them(tmp_path: Path) -> None:
    entry = module(tmp_path, "entry.js", 'import { clock } from "/static/mien/format.js";\nclock(1);\n')
    text = page_file.script(entry)
    assert "function clock(" in text
    assert text.endswith("const { clock } = $0;\nclock(1);\n")


@pytest.mark.parametrize(
    "wrong",
    [
        'import all from "./one.js";',
        'import * as all from "./one.js";',
        'import "./one.js";',
        "import { a } from './one.js';",
        "export default 1;",
        "export { a };",
        "export * from './one.js';",
        "export let a = 1;",
        "export const { a } = b;",
    ],
)
def test_other_forms_of_import_and_export_are_refused(tmp_path: Path, wrong: str) -> None:
    module(tmp_path, "one.js", "")
    with pytest.raises(ValueError, match=r"entry\.js: cannot be put into a page: "):
        page_file.script(module(tmp_path, "entry.js", wrong + "\n"))


@pytest.mark.parametrize("end", ["</script>", "</SCRIPT", "<!--"])
def test_a_script_that_would_end_its_element_is_refused(tmp_path: Path, end: str) -> None:
    with pytest.raises(ValueError, match="end of a script"):
        page_file.script(module(tmp_path, "entry.js", f'const a = "{end}";\n'))


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert page_file.fill("a {{one}} b {{two}} {{one}}", one="{{two}}", two=["x", "y"]) == [
        "a ",
        "{{two}}",
        " b ",
        "x",
        "y",
        " ",
        "{{two}}",
        "",
    ]
    with pytest.raises(KeyError):
        page_file.fill("{{nothing}}")


def test_a_policy_names_scripts_by_their_hashes() -> None:
    assert "script-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=';" in page_file.policy("a")
    assert "script-src 'none';" in page_file.policy()
    assert re.search(r"default-src 'none';.*base-uri 'none'; form-action 'none'$", page_file.policy("a"))
