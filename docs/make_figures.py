"""The figures of the bundled model in README.md and docs/models.md, out of its model.json.

python docs/make_figures.py            fills the blocks between the marks figures:begin and figures:end
python docs/make_figures.py --check    exits 1 where a block is stale
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "src/mien/bundles/mien-lite0"
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
PROTOCOLS = {"ferplus-strict": "FER+ strict", "fer2013": "FER2013"}

Spec = dict[str, Any]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def with_interval(found: Spec, name: str) -> str:
    low, high = found["interval"][name]
    if name == "macro_f1":
        return f"{found[name]:.3f} ({low:.3f}–{high:.3f})"
    return f"{percent(found[name])} ({100 * low:.1f}–{100 * high:.1f})"


def measured(spec: Spec, split: str) -> dict[str, Spec]:
    """Protocol → figures of one split, of the protocols that were measured."""
    evaluation = spec["evaluation"]
    return {name: evaluation[name][split] for name in PROTOCOLS if split in evaluation.get(name, {})}


def beside(found: Spec) -> str:
    """Where the model stands against the raters, in words; with the interval of the model's accuracy."""
    human = found["human_line"]
    low, high = found["interval"]["accuracy"]
    place = "above" if low > human else "below" if high < human else "level with"
    return (
        f"On FER+ one of the ten raters agrees with the majority of the other nine in {percent(human)} of these pictures: "
        f"the network is {place} that line."
    )


def readme_block(spec: Spec) -> str:
    """The short table of README.md."""
    private = measured(spec, "PrivateTest")
    peers = list(dict.fromkeys(name for found in private.values() for name in found.get("peers", {})))
    head = ["PrivateTest", "N", f"{spec['name']} (95 % interval)", "macro-F1", "ECE", "whole pipeline", "one rater", *peers]
    rows = []
    for protocol, found in private.items():
        cells = [PROTOCOLS[protocol], f"{found['n']:,}", f"**{percent(found['accuracy'])}** ({interval(found)})"]
        cells += [f"{found['macro_f1']:.3f}", percent(found["ece"]), percent(found["end_to_end"]["accuracy"])]
        cells += [percent(found["human_line"]) if "human_line" in found else "–"]
        cells += [percent(found["peers"][name]) if name in found.get("peers", {}) else "–" for name in peers]
        rows.append(cells)
    lines = table(head, rows)
    if "ferplus-strict" in private:
        lines += ["", beside(private["ferplus-strict"])]
    weak = sorted(private["ferplus-strict"]["recall"].items(), key=lambda item: item[1])[:3] if "ferplus-strict" in private else []
    if weak:
        said = ", ".join(f"{name} ({percent(recall)} of {support(private['ferplus-strict'], name)})" for name, recall in weak)
        lines += [f"It finds these expressions least often: {said}."]
    lines += [
        f"The network has {spec['evaluation']['parameters']:,} parameters and weighs {megabytes()}; "
        f"version {spec['version']}, sha256 `{spec['sha256'][:12]}…`."
    ]
    return "\n".join(lines)


def interval(found: Spec) -> str:
    low, high = found["interval"]["accuracy"]
    return f"{100 * low:.1f}–{100 * high:.1f}"


def support(found: Spec, name: str) -> int:
    """How many pictures of the split carry the label."""
    return int(sum(found["confusion"][found["labels"].index(name)]))


def megabytes() -> str:
    return f"{(BUNDLE / 'model.onnx').stat().st_size / 1e6:.1f} MB"


def models_block(spec: Spec) -> str:
    """The long tables of docs/models.md."""
    lines = [f"`{spec['name']}`, version {spec['version']}: {spec['description']}.", ""]
    rows = []
    for split in ("PublicTest", "PrivateTest"):
        for protocol, found in measured(spec, split).items():
            rows.append(
                [
                    PROTOCOLS[protocol],
                    split,
                    f"{found['n']:,}",
                    with_interval(found, "accuracy"),
                    with_interval(found, "macro_f1"),
                    percent(found["balanced_accuracy"]),
                    percent(found["ece"]),
                    percent(found["flip_average"]["accuracy"]),
                    percent(found["end_to_end"]["accuracy"]),
                ]
            )
    head = ["protocol", "split", "N", "accuracy (95 %)", "macro-F1 (95 %)", "balanced", "ECE", "flip averaged", "whole pipeline"]
    lines += table(head, rows)
    for protocol, found in measured(spec, "PrivateTest").items():
        lines += ["", f"Per expression, {PROTOCOLS[protocol]}, PrivateTest:", ""]
        rows = [
            [
                name,
                f"{support(found, name):,}",
                percent(found["precision"][name]),
                percent(found["recall"][name]),
                f"{found['f1'][name]:.3f}",
            ]
            for name in found["labels"]
        ]
        lines += table(["expression", "N", "precision", "recall", "F1"], rows)
        if "human_line" in found:
            lines += ["", beside(found)]
    heads = "; ".join(f"`{h['name']}`: {len(h['labels'])} labels, temperature {h['temperature']:.3f}" for h in spec["heads"])
    lines += [
        "",
        f"{spec['evaluation']['parameters']:,} parameters, {megabytes()}. {heads}.",
        "",
        f"sha256 of `model.onnx`: `{spec['sha256']}`",
    ]
    return "\n".join(lines)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown; columns of numbers stand to the right."""
    right = [all(re.match(r"[\d–*]", row[i]) for row in rows) for i in range(len(head))]
    lines = [" | ".join(head), " | ".join("---:" if numbers else "---" for numbers in right), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]


PAGES: dict[str, Callable[[Spec], str]] = {"README.md": readme_block, "docs/models.md": models_block}


def filled(text: str, block: str) -> str:
    """`text` with what stands between the marks replaced. Raises `ValueError` unless it has the pair of marks once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"wanted {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def render(page: str) -> str:
    """What the page should hold."""
    spec = json.loads((BUNDLE / "model.json").read_text(encoding="utf-8"))
    return filled((ROOT / page).read_text(encoding="utf-8"), PAGES[page](spec))


def main() -> int:
    parser = argparse.ArgumentParser(description="Fill the figures of the bundled model into README.md and docs/models.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a block is stale")
    check = parser.parse_args().check
    stale = [page for page in PAGES if render(page) != (ROOT / page).read_text(encoding="utf-8")]
    for page in stale:
        if check:
            print(f"{page}: the figures are stale; run: python docs/make_figures.py", file=sys.stderr)
        else:
            (ROOT / page).write_text(render(page), encoding="utf-8")
            print(page)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
