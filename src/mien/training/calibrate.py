"""What stands on a finished network: how its heads decide together, and how far each decision can be believed.

`calibrate` takes a bundle, asks its network once about the pictures to choose on (as they are, and damaged in each kind of
`mien.training.damage`) and about faces from elsewhere, and writes a bundle with the same network and the decision that the rule in
docs/results/default-model.md chooses. A new network needs nothing but this once more.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

import mien
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, convert
from mien.models import Bundle, Fusion, Head, ModelSpec, Prior
from mien.reliability import Reliability
from mien.training.damage import KINDS, NAMED_BEFOREHAND, damaged
from mien.training.data import FaceSet, cache_folder, load_faces
from mien.training.evaluate import auroc, class_scores
from mien.training.export import fit_temperature, measured, protocol_for, tuned_head, write_bundle
from mien.training.layouts import find_layout, fingerprint
from mien.whole_file import new_folder, whole_file

CLEAN, ELSEWHERE, NOTHING = "clean", "elsewhere", "nothing"
"""Beside the kinds of damage: the pictures as they are, the faces from elsewhere, and pictures of no face."""

LEARNT = tuple(kind for kind in KINDS if kind not in NAMED_BEFOREHAND)

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
OWN_LEANS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
OTHER_LEANS = (0.0, 0.5, 1.0)
"""What is tried: the other head's weight, and how far each head leans to its balanced prior."""

PUSHES = tuple(round(0.05 * step, 2) for step in range(1, 13))
"""And for the first head alone: what is added to the logits of those labels of `RECALLS` that it finds too seldom."""

GIVE = 0.01
"""Accuracy on PublicTest that a decision may cost, on either label set."""

RECALLS = {"happiness": 0.85, "surprise": 0.60, "neutral": 0.88}
"""Asked of the faces from elsewhere."""

SHARES = {CLEAN: 12.0, NOTHING: 1.0}
"""How often a picture counts against one of a kind of damage. Chosen so that, where each learnt kind in turn is left out, readings
are believed too much about as often as too little."""

SUREST = (0.9, 0.7, 0.5)
"""Shares of the readings, the most reliable first, of which the card says how many are right."""

RIDGE = 1e-3
FOLDS = 5

_STORED = 1
_BATCH = 256

Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a network said of all that it was asked about.

    faces      N faces of PublicTest                    outputs  kind → head → logits; N rows for `CLEAN` and damage
    elsewhere  (M,) index into FERPLUS, M rows for `ELSEWHERE`; no row where no such data was given
    """

    faces: FaceSet
    elsewhere: NDArray[np.int64]
    outputs: dict[str, Outputs]


def ask(
    bundle: Bundle,
    data: Path,
    elsewhere: Path | None = None,
    *,
    layout: str = "auto",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Asked:
    """Everything that the choice and the fit need of a network; kept in the cache folder, for it takes minutes."""
    spec = bundle.spec
    align = bool(spec.recipe.get("align", True))
    faces = load_faces(data, spec.crop, align=align, splits=("PublicTest",), layout=layout)
    if not len(faces):
        raise DataError(f"{data}: has no picture in the split PublicTest, which a decision is chosen on")
    others = None if elsewhere is None else load_faces(elsewhere, spec.crop, align=align)
    prints = [fingerprint(d, find_layout(d)) for d in (data, elsewhere) if d is not None]
    key = hashlib.sha256(repr((_STORED, spec.sha256, spec.crop, prints, seed, sorted(KINDS))).encode()).hexdigest()[:16]
    kept = cache_folder() / f"outputs-{key}.npz"
    labels = np.zeros(0, np.int64)
    if others is not None:
        place = [FERPLUS.index(name) for name in others.names]
        labels = np.array([*place, -1], dtype=np.int64)[others.labels]
    names = [head.name for head in spec.heads]
    kinds = [CLEAN, *KINDS, NOTHING, *([ELSEWHERE] if others is not None else [])]
    if kept.is_file():
        with np.load(kept) as held:
            return Asked(faces, labels, {kind: {name: held[f"{kind} {name}"] for name in names} for kind in kinds})
    model = Expressions(bundle)
    found: dict[str, Outputs] = {}
    for number, kind in enumerate(kinds):
        if progress is not None:
            progress(number, len(kinds))
        if kind == ELSEWHERE:
            assert others is not None
            crops = others.crops
        else:
            crops = faces.crops if kind == CLEAN else nothing(faces, seed) if kind == NOTHING else spoilt(faces, kind, seed)
        found[kind] = model.outputs(crops)
    kept.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"{kind} {name}": values for kind, of in found.items() for name, values in of.items()}
    with whole_file(kept) as part, part.open("wb") as file:
        np.savez(file, **arrays)
    return Asked(faces, labels, found)


def spoilt(faces: FaceSet, kind: str, seed: int = 0) -> NDArray[np.uint8]:
    """The crops of `faces`, all damaged in one kind, as a camera would give them: in 256 steps."""
    generator = torch.Generator().manual_seed(seed)
    found = np.empty_like(faces.crops)
    for start in range(0, len(faces), _BATCH):
        crops = torch.from_numpy(faces.crops[start : start + _BATCH].astype(np.float32) / 255)
        batch = crops[:, None] if crops.ndim == 3 else crops.permute(0, 3, 1, 2)
        after = (damaged(batch, kind, generator) * 255).round().to(torch.uint8)
        found[start : start + _BATCH] = (after[:, 0] if crops.ndim == 3 else after.permute(0, 2, 3, 1)).numpy()
    return found


def nothing(faces: FaceSet, seed: int = 0) -> NDArray[np.uint8]:
    """Crops that show no face: every eighth face in sixteen parts that changed places, and as many smooth patches."""
    rng = np.random.default_rng(seed)
    side = faces.crops.shape[1] // 4
    found = []
    for crop in faces.crops[::8]:
        parts = [crop[y * side : (y + 1) * side, x * side : (x + 1) * side] for y in range(4) for x in range(4)]
        order = rng.permutation(16)
        mixed = crop.copy()
        for place, part in enumerate(order.tolist()):
            y, x = divmod(place, 4)
            mixed[y * side : (y + 1) * side, x * side : (x + 1) * side] = parts[part][:: rng.choice([-1, 1])]
        found.append(mixed)
        cells = int(rng.integers(1, 9))
        small = rng.integers(0, 256, (cells, cells, *crop.shape[2:]), dtype=np.uint8)
        cloud = cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        found.append(np.asarray(cloud, dtype=np.uint8).reshape(crop.shape))
    return np.stack(found) if found else np.zeros((0, *faces.crops.shape[1:]), np.uint8)


# --- the decision -----------------------------------------------------------------------------------------------------------------


def figures(head: Head, heads: Sequence[Head], asked: Asked) -> dict[str, float]:
    """What the rule looks at, of a decision among FER+'s labels; of faces from elsewhere where there are some."""
    faces = asked.faces

    def said(kind: str) -> NDArray[np.float32]:
        return head.decide(asked.outputs[kind], heads)

    truth = faces.truth("ferplus")
    counts = truth >= 0
    clean = said(CLEAN)
    plus = class_scores(truth[counts], clean[counts].argmax(axis=1), len(FERPLUS))
    seven = faces.truth("fer2013")
    named = seven >= 0
    old = class_scores(seven[named], convert(clean[named], FERPLUS, FER2013).argmax(axis=1), len(FER2013))
    spoiled = [float((said(kind)[counts].argmax(axis=1) == truth[counts]).mean()) for kind in LEARNT]
    found = {
        "ferplus_accuracy": plus["accuracy"],
        "ferplus_macro_f1": plus["macro_f1"],
        "fer2013_accuracy": old["accuracy"],
        "fer2013_balanced": old["balanced_accuracy"],
        "damaged_accuracy": float(np.mean(spoiled)),
    }
    shares = [found["ferplus_macro_f1"], found["fer2013_balanced"], found["damaged_accuracy"]]
    if len(asked.elsewhere):
        answers = convert(said(ELSEWHERE), FERPLUS, FER2013).argmax(axis=1)
        is_ = np.array([FER2013.index(name) if name in FER2013 else -1 for name in FERPLUS])[asked.elsewhere]
        found["elsewhere_accuracy"] = float((answers == is_).mean())
        for name in RECALLS:
            here = is_ == FER2013.index(name)
            found[f"elsewhere_{name}"] = float((answers[here] == is_[here]).mean()) if here.any() else 0.0
        shares.append(float(np.mean([found[f"elsewhere_{name}"] for name in RECALLS])))
    return found | {"mean": float(np.mean(shares))}


def misses(found: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """What keeps a decision from being allowed, by the names of `figures`; nothing where it is."""
    bars = {f"{name}_accuracy": before[f"{name}_accuracy"] - GIVE for name in ("ferplus", "fer2013")}
    if "elsewhere_accuracy" in found:
        bars |= {"elsewhere_accuracy": before["elsewhere_accuracy"]}
        bars |= {f"elsewhere_{name}": least for name, least in RECALLS.items()}
    return [name for name, least in bars.items() if found[name] < least - 1e-9]


def fused_head(head: Head, other: Head, weight: float, own_lean: float, other_lean: float) -> Head:
    """A decision by both heads, its temperature still that of the first: each leans so far to its balanced prior."""
    own, theirs = head.with_prior("balanced").bias, other.with_prior("balanced").bias
    scale = other.with_prior("natural").temperature / head.with_prior("natural").temperature
    bias = tuple(round(own_lean * b, 4) for b in own)
    fusion = Fusion(other.name, weight, tuple(round(other_lean * b / scale, 4) for b in theirs), round(scale, 4))
    return replace(head, bias=bias, fusion=fusion if weight else None)


def pushed_head(head: Head, names: Sequence[str], push: float) -> Head:
    """The natural decision of `head` with `push` added to the logits of the labels `names`."""
    return replace(head.with_prior("natural"), bias=tuple(push if name in names else 0.0 for name in head.labels))


def choose_decision(
    heads: Sequence[Head], asked: Asked, before: Mapping[str, float] | None = None
) -> tuple[tuple[Head, ...], dict[str, Any]]:
    """The heads, the first deciding as the rule chooses and with a prior `fused`; and what was found.

    before  `figures` of the default before it, which sets the rule's bars; None where it is this very network's `natural` decision

    Where no decision is allowed, the default is `natural`. `fused` is the best of those by both heads that miss no more than
    `natural` does, against what `natural` reaches.
    """
    head, other = heads[0], heads[1]
    natural = head.with_prior("natural")
    own = figures(natural, heads, asked)
    bars = own if before is None else before
    missed = set(misses(own, own))
    both = [
        fused_head(head, other, weight, own_lean, other_lean)
        for weight in WEIGHTS
        for own_lean in OWN_LEANS
        for other_lean in (OTHER_LEANS if weight else (0.0,))
    ]
    wanted = [name for name in RECALLS if f"elsewhere_{name}" in missed]
    tried = [(figures(way, heads, asked), way) for way in (*both, *(pushed_head(head, wanted, by) for by in PUSHES if wanted))]
    allowed = [one for one in tried if not misses(one[0], bars)]
    chosen = _best(allowed or [(own, natural)])
    fused = _best([one for one in tried if one[1].fusion is not None and set(misses(one[0], own)) <= missed] or [(own, natural)])
    ways = {"natural": (own, natural)} | ({"tuned": chosen} if allowed else {}) | {"fused": fused}
    report = {
        "rule": "docs/results/default-model.md",
        "default": "tuned" if allowed else "natural",
        "tried": len(tried),
        "allowed": len(allowed),
        **{name: found | {"misses": misses(found, bars)} for name, (found, _) in ways.items()},
    }
    first = _honest(chosen[1], heads, asked) if allowed else natural
    both_heads = _honest(fused[1], heads, asked)
    prior = Prior("fused", both_heads.temperature, both_heads.bias, both_heads.fusion)
    return (replace(first, priors=(*(p for p in head.priors if p.name != "fused"), prior)), *heads[1:]), report


def _best(ways: Sequence[tuple[dict[str, float], Head]]) -> tuple[dict[str, float], Head]:
    return max(ways, key=lambda one: one[0]["mean"])


def _honest(way: Head, heads: Sequence[Head], asked: Asked) -> Head:
    """The decision at the temperature that makes its probabilities honest on PublicTest."""
    truth = asked.faces.truth(way.name)
    logits = np.log(replace(way, temperature=1.0).decide(asked.outputs[CLEAN], heads).astype(np.float64) + 1e-12)
    return replace(way, temperature=round(fit_temperature(logits[truth >= 0], truth[truth >= 0]), 4))


# --- the reliability --------------------------------------------------------------------------------------------------------------


def fit_reliability(
    evidence: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.floating], ridge: float = RIDGE
) -> Reliability:
    """Logistic regression of whether a reading is right on its evidence (N, D), each row with its weight (N,)."""
    mean, spread = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-6)
    x, y, w = (evidence - mean) / spread, right.astype(np.float64), weight / weight.sum()

    def loss(v: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ v[:-1] + v[-1]
        slope = w * (1 / (1 + np.exp(-np.clip(z, -30, 30))) - y)
        value = float((w * (np.logaddexp(0, z) - y * z)).sum() + ridge * (v[:-1] ** 2).sum())
        return value, np.append(x.T @ slope + 2 * ridge * v[:-1], slope.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weights = found[:-1] / spread
    return Reliability(tuple(round(float(v), 6) for v in weights), round(float(found[-1] - weights @ mean), 6))


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Of one decision, kind by kind: evidence, whether it is right, its largest probability, and the picture's number."""

    evidence: dict[str, NDArray[np.float64]]
    right: dict[str, NDArray[np.bool_]]
    largest: dict[str, NDArray[np.float32]]
    picture: dict[str, NDArray[np.int64]]


def _judged(way: Head, heads: Sequence[Head], asked: Asked) -> _Judged:
    truth = asked.faces.truth(way.name)
    rows = np.flatnonzero(truth >= 0)
    found = _Judged({}, {}, {}, {})
    for kind in (CLEAN, *KINDS, NOTHING):
        outputs = asked.outputs[kind] if kind == NOTHING else {name: z[rows] for name, z in asked.outputs[kind].items()}
        decided = way.decide(outputs, heads)
        found.evidence[kind] = way.evidence(decided, outputs, heads)
        found.largest[kind] = decided.max(axis=1)
        wrong = np.zeros(len(decided), dtype=bool)
        found.right[kind] = wrong if kind == NOTHING else decided.argmax(axis=1) == truth[rows]
        found.picture[kind] = np.arange(len(decided)) if kind == NOTHING else rows
    return found


def _fitted(judged: _Judged, kinds: Sequence[str], leave_out: int | None = None) -> Reliability:
    """`leave_out`: the fold of pictures that is not learnt from."""
    evidence, right, weight = [], [], []
    for kind in kinds:
        keep = np.ones(len(judged.right[kind]), bool) if leave_out is None else judged.picture[kind] % FOLDS != leave_out
        evidence.append(judged.evidence[kind][keep])
        right.append(judged.right[kind][keep])
        weight.append(np.full(int(keep.sum()), SHARES.get(kind, 1.0)))
    return fit_reliability(np.concatenate(evidence), np.concatenate(right), np.concatenate(weight))


def _out_of_fold(judged: _Judged) -> dict[str, NDArray[np.float32]]:
    """The reliability of each reading by weights that were learnt from neither its picture nor, where it was named beforehand, its
    kind of damage."""
    found = {kind: np.zeros(len(right), np.float32) for kind, right in judged.right.items()}
    for fold in range(FOLDS):
        fit = _fitted(judged, (CLEAN, *LEARNT, NOTHING), fold)
        for kind, values in found.items():
            here = judged.picture[kind] % FOLDS == fold
            values[here] = fit(judged.evidence[kind][here])
    return found


def right_of_surest(reliability: NDArray[np.float32], right: NDArray[np.bool_], share: float) -> float:
    """Of that share of N ≥ 1 readings, the most reliable first, how many are right."""
    order = np.argsort(-reliability, kind="stable")
    return float(right[order[: max(1, round(share * len(order)))]].mean())


def reliability_rows(way: Head, heads: Sequence[Head], asked: Asked) -> list[dict[str, Any]]:
    """A row for undamaged pictures, each kind of damage, those named beforehand together, and pictures of no face.

    kind, learnt (whether the fit saw the kind), n, right (share), says (mean largest probability), reliability (mean), auroc (of
    the reliability), auroc_of_largest and surest (share → of the most reliable so many, how many are right). For a learnt kind also
    left_out: where the fit saw all kinds but this one.
    """
    judged = _judged(way, heads, asked)
    given = _out_of_fold(judged)

    def row(kind: str, names: Sequence[str]) -> dict[str, Any]:
        right, says, reliability = (np.concatenate([of[name] for name in names]) for of in (judged.right, judged.largest, given))
        return {
            "kind": kind,
            "learnt": kind not in NAMED_BEFOREHAND and len(names) == 1,
            "n": len(right),
            "right": float(right.mean()),
            "says": float(says.mean()),
            "reliability": float(reliability.mean()),
            "auroc": auroc(reliability, right),
            "auroc_of_largest": auroc(says, right),
            "surest": {f"{share:g}": right_of_surest(reliability, right, share) for share in SUREST},
        }

    rows = [row(kind, (kind,)) for kind in (CLEAN, *KINDS)]
    for found in rows:
        if found["kind"] in LEARNT:
            kind = found["kind"]
            fit = _fitted(judged, [CLEAN, NOTHING, *(k for k in LEARNT if k != kind)], 0)
            here = judged.picture[kind] % FOLDS == 0
            found["left_out"] = {
                "right": float(judged.right[kind][here].mean()),
                "reliability": float(fit(judged.evidence[kind][here]).mean()),
            }
    return [*rows, row("named beforehand", NAMED_BEFOREHAND), row(NOTHING, (NOTHING,))]


def with_reliability(heads: Sequence[Head], asked: Asked) -> tuple[Head, ...]:
    """The heads, each of whose decisions has its reliability."""

    def fitted(way: Head) -> Reliability:
        return _fitted(_judged(way, heads, asked), (CLEAN, *LEARNT, NOTHING))

    found = []
    for head in heads:
        priors = tuple(replace(prior, reliability=fitted(head.with_prior(prior.name))) for prior in head.priors)
        found.append(replace(head, priors=priors, reliability=fitted(head)))
    return tuple(found)


# --- from a bundle to a bundle ----------------------------------------------------------------------------------------------------


def calibrate(
    bundle: Bundle,
    data: Path,
    out: Path,
    *,
    elsewhere: Path | None = None,
    before: Bundle | None = None,
    layout: str = "auto",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Writes `bundle` with its decisions and their reliability found anew to the folder `out`; gives back what was found.

    data       labelled faces with a split PublicTest     elsewhere  faces of other origin, with single labels, for the rule
    before     the default before it, of which the rule's bars are; None where they are this bundle's own, naturally decided

    The rule chooses where two heads have the labels of FER+ and FER2013; `before` then has these, too. A decision that is another
    than the bundle's is measured once all is chosen, on those splits that the bundle was measured on and `data` has; else its
    figures stay. Raises `DataError`.
    """
    if out.exists():
        raise DataError(f"{out}: is there already; remove it or give another folder")
    spec = bundle.spec
    asked = ask(bundle, data, elsewhere, layout=layout, seed=seed, progress=progress)
    train = load_faces(data, spec.crop, align=bool(spec.recipe.get("align", True)), splits=("Training",), layout=layout)
    heads = tuple(tuned_head(head.name, asked.outputs[CLEAN][head.name], asked.faces, train) for head in spec.heads)
    decision: dict[str, Any] = {}
    if [head.labels for head in heads] == [FERPLUS, FER2013]:
        bars = None
        if before is not None:
            theirs = before.spec.heads
            bars = figures(theirs[0], theirs, ask(before, data, elsewhere, layout=layout, seed=seed, progress=progress))
        heads, decision = choose_decision(heads, asked, bars)
    heads = with_reliability(heads, asked)
    reliability = {"labels": heads[0].name, "seed": seed, "kinds": reliability_rows(heads[0], heads, asked)}
    found = {"decision": decision, "reliability": reliability} if decision else {"reliability": reliability}
    with new_folder(out) as folder:
        shutil.copy(bundle.folder / "model.onnx", folder)
        version = f"{mien.__version__}+{date.today().isoformat()}"
        anew = replace(spec, version=version, heads=heads, calibration=found)
        anew = replace(anew, evaluation=anew.evaluation | _measured(anew, bundle, data, layout))
        write_bundle(anew, folder)
    return found


def _measured(spec: ModelSpec, bundle: Bundle, data: Path, layout: str) -> dict[str, Any]:
    """The evaluation of decisions that have changed, on the splits that the bundle's was of."""
    changed = [
        head
        for head, before in zip(spec.heads, bundle.spec.heads, strict=True)
        if (head.temperature, head.bias, head.fusion) != (before.temperature, before.bias, before.fusion)
    ]
    if not changed:
        return {}
    anew, splits = replace(bundle, spec=spec), ("PublicTest", "PrivateTest")
    faces = load_faces(data, spec.crop, align=bool(spec.recipe.get("align", True)), splits=splits, layout=layout)
    protocols = {head.name: protocol_for(head.name, faces) for head in changed}
    found: dict[str, Any] = {protocol: {} for protocol in protocols.values()}
    for split in splits:
        of = faces.of(split)
        heads = [head for head in changed if split in spec.evaluation.get(protocols[head.name], ("PublicTest",))]
        if not len(of) or not heads:
            continue
        logits = Expressions(anew).outputs(of.crops)
        for head in heads:
            protocol = protocols[head.name]
            found[protocol][split] = measured(anew, data, protocol, head, of, logits, layout=layout)
    return found
