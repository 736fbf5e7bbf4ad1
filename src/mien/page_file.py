"""Pages that are one file and open without a network: filled templates, their script, Plotly's, and a policy that lets in no other.

A page's script is written as ES modules, which the web application serves as they are. A file cannot import another in every
browser, so here they become one script: at use, since a built file beside its sources can be older than they are; by the two forms
in which these modules import and export, and no others, so that neither a bundler nor a build step is needed; and inline, since a
policy can then name it by its hash, which import maps to data: addresses would not allow.
"""

import base64
import functools
import gzip
import hashlib
import re
from importlib import resources
from io import BytesIO
from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""What several pages are made of; the web application serves it under `SERVED`."""

SERVED = "/static/mien/"


def fill(template: str, **parts: str | list[str]) -> list[str]:
    """`template` in pieces, with each {{name}} replaced once; what is put in is not looked at again."""
    pieces: list[str] = []
    for i, text in enumerate(re.split(r"\{\{(\w+)\}\}", template)):
        part = parts[text] if i % 2 else text
        pieces += [part] if isinstance(part, str) else part
    return pieces


def policy(*scripts: str) -> str:
    """A content security policy for a page that runs these inline scripts and loads nothing."""
    hashes = (hashlib.sha256(script.encode("utf-8")).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(found).decode('ascii')}'" for found in hashes) or "'none'"
    rest = ("style-src 'unsafe-inline'", "img-src data: blob:", "base-uri 'none'", "form-action 'none'")
    return "; ".join(("default-src 'none'", f"script-src {allowed}", *rest))


@functools.cache
def script(entry: Path) -> str:
    """An ES module and all that it imports as one module without imports, each once, in the order of the imports.

    Each module becomes a function that gives what it exports, so that names of one never meet those of another; the last one stays
    as it is, and may await. Imports are lines `import { a, b as c } from "address";`, exports lines that begin with `export` and a
    function, class or const; anything else is a `ValueError`, and so is what would end the element that holds the script.
    """
    modules: dict[Path, str] = {}

    def name(path: Path) -> str:
        return f"${list(modules).index(path)}"

    def visit(path: Path) -> None:
        code, exports = [], []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("import "):
                names, address = _imported(line, path)
                if address not in modules:
                    visit(address)
                line = f"const {names} = {name(address)};"
            elif line.startswith("export "):
                line = line.removeprefix("export ")
                exports.append(_declared(line, path))
            code.append(line)
        text = "\n".join(code)
        modules[path] = text if path == entry else f"(() => {{\n{text}\nreturn {{ {', '.join(exports)} }};\n}})();"

    visit(entry)
    whole = "".join(f"{text}\n" if path == entry else f"const {name(path)} = {text}\n" for path, text in modules.items())
    if "</script" in whole.lower() or "<!--" in whole:
        raise ValueError(f"{entry.name}: a script within a page cannot hold the end of a script")
    return whole


def _imported(line: str, path: Path) -> tuple[str, Path]:
    """The names that a line imports, as a pattern to take them from an object, and the file of the module that has them."""
    names, _, address = line.removeprefix("import ").partition(" from ")
    if not (names.startswith("{ ") and names.endswith(" }") and address.startswith('"') and address.endswith('.js";')):
        raise ValueError(f"{path.name}: cannot be put into a page: {line}")
    address = address[1:-2]
    served = address.startswith(SERVED)
    return names.replace(" as ", ": "), STATIC / address.removeprefix(SERVED) if served else (path.parent / address).resolve()


def _declared(line: str, path: Path) -> str:
    """The name of what a line declares."""
    words = line.removeprefix("async ").replace("(", " ").split()
    if words[0] not in ("function", "class", "const") or not words[1].isidentifier():
        raise ValueError(f"{path.name}: cannot be put into a page: export {line}")
    return words[1]


def plotly_script() -> str:
    """Plotly's script from its package."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


@functools.cache
def packed_plotly() -> str:
    """Plotly's script, gzipped and in base64, as static/packed_plotly.js starts it: 2.0 MB in place of 4.8."""
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as zipped:
        zipped.write(plotly_script().encode("utf-8"))
    return base64.b64encode(packed.getbuffer()).decode("ascii")
