"""CARD.md from model.json: nothing stands in a card that is not in the json."""

from typing import Any

from mien.models import ModelSpec

DECISIONS = ("natural", "tuned", "fused")
"""Those that a calibration may have figures of; `tuned` where the rule allowed another default than `natural`."""

PROTOCOL_NAMES = {"ferplus-strict": "FER+ strict", "fer2013": "FER2013", "labels": "single labels"}


_FAILS_RARE = (
    "Faces under about 20 pixels, in profile, behind hands, masks or dark glasses, in poor light; contempt and disgust, which",
    "the training set hardly has; people whose faces at rest look like an expression: use a baseline for those.",
)
_FAILS = (
    "Faces under about 20 pixels, in profile, behind hands, masks or dark glasses, in poor light; people whose faces at rest look",
    "like an expression: use a baseline for those.",
)


def card(spec: ModelSpec) -> str:
    """The model card as Markdown."""
    out = [f"# {spec.name}", "", spec.description, "", *_use(spec)]
    out += ["## What it was measured to do", ""]
    if spec.evaluation:
        out += _figures(spec)
    else:
        out += ["Nothing was measured.", ""]
    out += _reliability(spec)
    out += _making(spec)
    return "\n".join(out).rstrip() + "\n"


def _use(spec: ModelSpec) -> list[str]:
    labels = "; ".join(f"`{h.name}`: {', '.join(h.labels)}" for h in spec.heads)
    return [
        f"Version {spec.version}. Says of an upright face which expression it *appears* to show ({labels}).",
        "It does not say what a person feels: expressions and feelings are loosely linked (Barrett et al. 2019).",
        "",
        "**For** audience research with consent, research on expressions, accessibility, art.",
        "**Not for** workplaces or schools (prohibited in the EU, AI Act Art. 5(1)(f)), hiring, policing, lie detection, health.",
        "People who are filmed must be told (Art. 50(3)).",
        "",
    ]


def _figures(spec: ModelSpec) -> list[str]:
    out = [f"{spec.evaluation['parameters']:,} parameters. " if "parameters" in spec.evaluation else ""]
    out += ["The epoch, the temperature and the prior were chosen on PublicTest; PrivateTest was looked at after that.", ""]
    out += ["| protocol | split | N | accuracy (95 %) | macro-F1 (95 %) | balanced | ECE | flip averaged | whole pipeline |"]
    out += ["| --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: |"]
    protocols = [key for key in PROTOCOL_NAMES if key in spec.evaluation]
    for protocol in protocols:
        for split, found in spec.evaluation[protocol].items():
            out.append(
                f"| {PROTOCOL_NAMES[protocol]} | {split} | {found['n']:,} | {_with_interval(found, 'accuracy')} "
                f"| {_with_interval(found, 'macro_f1')} | {_percent(found['balanced_accuracy'])} | {_percent(found['ece'])} "
                f"| {_percent(found['flip_average']['accuracy'])} | {_percent(found['end_to_end']['accuracy'])} |"
            )
    out += [
        "",
        "Intervals by bootstrap over pictures; one training seed. *Whole pipeline*: picture enlarged to 192 px → detector → crop →",
        "network, where a picture in which nobody is found counts as wrong.",
        "",
    ]
    for protocol in protocols:
        out += _protocol(protocol, spec.evaluation[protocol])
    out += [
        "Not measured: differences between groups of people, since the data names none. Do not rank groups by these scores.",
        "",
    ]
    return out


def _protocol(protocol: str, splits: dict[str, Any]) -> list[str]:
    found = splits.get("PrivateTest")
    if not found:
        return []
    labels = found["labels"]
    out = [f"### {PROTOCOL_NAMES[protocol]}, PrivateTest, N = {found['n']:,}", ""]
    out += [f"One-vs-rest accuracy (P0's formula): {_percent(found['one_vs_rest_accuracy'])}."]
    if "human_line" in found:
        out += [
            f"The human line: one rater agrees with the majority of the other nine in {_percent(found['human_line'])}.",
            f"Cross-entropy to the votes {found['cross_entropy_to_votes']:.3f} nats (floor {found['cross_entropy_floor']:.3f}).",
        ]
    peers = "; ".join(f"{name} {_percent(value)}" for name, value in found.get("peers", {}).items())
    if peers:
        out += [f"Other tools' classifiers on the same pictures: {peers}."]
    if "priors" in found:
        out += ["", "| prior | accuracy | macro-F1 | balanced accuracy | ECE |", "| --- | ---: | ---: | ---: | ---: |"]
        for name, scores in found["priors"].items():
            what = f"{name} (unless another is asked for)" if name == "tuned" else name
            out.append(
                f"| {what} | {_percent(scores['accuracy'])} | {scores['macro_f1']:.3f} | {_percent(scores['balanced_accuracy'])} "
                f"| {_percent(scores['ece'])} |"
            )
        out += [""]
    if "without_duplicates" in found:
        unseen = found["without_duplicates"]
        out += [
            f"{found['n'] - unseen['n']:,} of these pictures stand, pixel for pixel, in Training too; without them: "
            f"N = {unseen['n']:,}, accuracy {_percent(unseen['accuracy'])}, macro-F1 {unseen['macro_f1']:.3f}.",
        ]
    end = found["end_to_end"]
    out += [f"The detector found a face in {end['detected']:,} of {end['n']:,} pictures.", ""]
    out += ["| | N | precision | recall | F1 | " + " | ".join(f"said {name}" for name in labels) + " |"]
    out += ["| --- | ---: | ---: | ---: | ---: | " + " | ".join("---:" for _ in labels) + " |"]
    for name, row in zip(labels, found["confusion"], strict=True):
        cells = " | ".join(str(count) for count in row)
        out.append(
            f"| {name} | {sum(row)} | {_percent(found['precision'][name])} | {_percent(found['recall'][name])} "
            f"| {found['f1'][name]:.3f} | {cells} |"
        )
    return [*out, ""]


def _reliability(spec: ModelSpec) -> list[str]:
    """How far its readings can be believed, and what another decision gives and takes."""
    out = []
    decision = spec.calibration.get("decision")
    if decision:
        ways = [name for name in DECISIONS if name in decision]
        missed = ", ".join(decision["fused"]["misses"]).replace("_", " ") or "nothing"
        out += ["## How it decides", ""]
        allowed = f"{decision['allowed']} of {decision['tried']} decisions{' by both heads' if len(ways) == 2 else ''}"
        out += [f"By `{decision['default']}`: the rule allowed {allowed}."]
        out += [f"`fused`, the best of the others, misses: {missed}. PublicTest, and faces from elsewhere:", ""]
        out += [f"| | {' | '.join(ways)} |", "| --- |" + " ---: |" * len(ways)]
        out += [
            f"| {name.replace('_', ' ')} | " + " | ".join(_percent(decision[way][name]) for way in ways) + " |"
            for name in decision["natural"]
            if name != "misses"
        ]
        out += [""]
    if "reliability" in spec.calibration:
        out += ["## How far its readings can be believed", ""]
        out += ["PublicTest, as it is and damaged; kinds in italics were named beforehand and entered no fit.", ""]
        kinds = spec.calibration["reliability"]["kinds"]
        shares_of = list(kinds[0].get("surest", {})) if kinds else []  # bundles of before do not have it
        more = "".join(f" right of the surest {100 * float(share):.0f} % |" for share in shares_of)
        out += [f"| damage | N | right | largest probability | reliability | AUROC | of the largest |{more}"]
        out += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |" + " ---: |" * len(shares_of)]
        for row in kinds:
            kind = row["kind"] if row["learnt"] else f"*{row['kind']}*"
            shares = " | ".join(_percent(row[name]) for name in ("right", "says", "reliability"))
            sides = f"{row['auroc']:.3f} | {row['auroc_of_largest']:.3f}" if 0 < row["right"] < 1 else "– | –"
            surest = "".join(f" {_percent(row['surest'][share])} |" for share in shares_of)
            out.append(f"| {kind} | {row['n']:,} | {shares} | {sides} |{surest}")
        out += [""]
    return out


def _making(spec: ModelSpec) -> list[str]:
    out = ["## How it was made", "", spec.data, ""]
    framed = "aligned by five landmarks" if spec.recipe.get("align", True) else "trained on pictures as they are"
    out += [f"- crop: {', '.join(f'{key} {value}' for key, value in spec.crop.to_json().items())}; {framed}"]
    for head in spec.heads:
        moved = [f"{name} {b:+.2f}" for name, b in zip(head.labels, head.bias, strict=False)] if any(head.bias) else []
        bias = ", ".join(moved) or "nothing"
        out.append(f"- `{head.name}`: temperature {head.temperature:.3f}; prior moved by {bias}")
    apart = ("crop", "augment", "versions", "description", "name")
    shown = {k: v for k, v in spec.recipe.items() if k not in apart and v not in ("", [], None)}
    out.append(f"- recipe: {', '.join(f'{key} {value}' for key, value in shown.items())}")
    if "augment" in spec.recipe:
        out.append(f"- augmentation: {', '.join(f'{key} {value}' for key, value in spec.recipe['augment'].items())}")
    if "versions" in spec.recipe:
        out.append(f"- versions: {', '.join(f'{key} {value}' for key, value in spec.recipe['versions'].items())}")
    out += [f"- commit: {spec.commit}", f"- sha256 of model.onnx: `{spec.sha256}`", "", "## Licences", ""]
    out += ["| ingredient | licence |", "| --- | --- |"]
    out += [f"| {what} | {text} |" for what, text in spec.licences.items()]
    out += [
        "",
        "## Where it fails",
        "",
        *(_FAILS_RARE if any("contempt" in head.labels for head in spec.heads) else _FAILS),
    ]
    if "FER+" in spec.data:
        out += ["The raters of FER+ were crowd workers who agree with each other in about four of five pictures."]
    return out


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _with_interval(found: dict[str, Any], name: str) -> str:
    low, high = found["interval"][name]
    if name == "macro_f1":
        return f"{found[name]:.3f} ({low:.3f}–{high:.3f})"
    return f"{_percent(found[name])} ({100 * low:.1f}–{100 * high:.1f})"
