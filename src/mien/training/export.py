"""A run → a bundle: ONNX, temperature and prior found on PublicTest, figures, card."""

import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from scipy.optimize import minimize_scalar

import mien
from mien.crop import CropSpec
from mien.emotion import network_input
from mien.errors import DataError, ModelError
from mien.models import Bundle, Head, ModelSpec, OnnxSession, Prior, load_model, sha256_of
from mien.training import face_weights
from mien.training.card import card
from mien.training.data import SPLITS, FaceSet, load_faces
from mien.training.evaluate import class_scores, evaluate, evaluate_bundle, is_fer2013
from mien.training.layers import count_parameters
from mien.training.networks import ORIGINS
from mien.training.recipe import Recipe
from mien.training.start import is_run
from mien.training.train import averaged_network, commit, run_recipe, versions
from mien.whole_file import new_folder

TOLERANCE = 1e-4
"""An exported network that differs from the trained one by more (absolute, in logits) is refused."""

HALF_TOLERANCE = 0.05
"""The same for weights stored in half precision."""

ACCURACY_TO_GIVE = 0.003
"""How much accuracy on PublicTest the decision's prior may cost for a better macro-F1."""

CODE_AND_WEIGHTS = {"code": "Apache-2.0", "weights": "Apache-2.0"}
FER2013_LICENCES = {
    "data": "of several origins, see the rows below; whether weights trained on them suit a purpose is for each user to judge",
    "pictures of FER2013": "**unresolved**: collected from the web for research, they belong to third parties; no licence is known",
    "labels of FER2013": "given out with the pictures, for research (Goodfellow et al. 2013); no licence is named",
    "votes of FER+": "MIT (Microsoft)",
}


def _licences(recipe: Recipe, fer2013: bool) -> dict[str, str]:
    """Those of the weights that the network started from belong to it too, through all the runs before."""
    data = FER2013_LICENCES if fer2013 else {"data": "the pictures' own; see whoever made the data set"}
    return CODE_AND_WEIGHTS | {"weights": weights_licence(recipe)} | data


def weights_licence(recipe: Recipe) -> str:
    """Of a network that is trained by this recipe: that of the weights it started from is named, through all the runs before."""
    if recipe.start and is_run(recipe.start):
        return weights_licence(run_recipe(Path(recipe.start)))
    if face_weights.is_graph_model(recipe.start):
        return f"Apache-2.0; started from {face_weights.SOURCES[recipe.network]}"
    if recipe.start and Path(recipe.start).is_file():
        return f"Apache-2.0 for what was added; started from the published weights {Path(recipe.start).name}, under their own terms"
    if recipe.start:
        return load_model(recipe.start).spec.licences.get("weights", f"those of {recipe.start}")
    if recipe.pretrained and recipe.network in ORIGINS and ORIGINS[recipe.network].imagenet == "package":
        return f"Apache-2.0; started from {recipe.network}'s ImageNet weights (Apache-2.0)"
    return CODE_AND_WEIGHTS["weights"]


def _data(faces: FaceSet, recipe: Recipe, learnt: int, fer2013: bool) -> str:
    """What the network was trained and chosen on, for the card: `learnt` pictures, and FER2013 only where they are FER2013's.

    The raters' votes are named where the recipe has a head that learns them.
    """
    count = {split: int((faces.split == split).sum()) for split in SPLITS} | {"Training": learnt}
    if fer2013:
        votes = ", with the votes of FER+ (Barsoum et al. 2016)" if "ferplus" in recipe.heads and faces.votes.any() else ""
        what = f"FER2013 (Goodfellow et al. 2013), {count['Training']:,} Training pictures{votes}"
    else:
        people = len(set(faces.person[faces.split == "Training"].tolist()) - {""})
        of = f" of {people:,} people" if people else ""
        what = f"{count['Training']:,} Training pictures{of}, labelled {', '.join(faces.names)}"
    touched = f"; {count['PrivateTest']:,} PrivateTest pictures touched once" if count["PrivateTest"] else ""
    return f"{what}; {count['PublicTest']:,} PublicTest pictures to choose the epoch, the temperature and the prior{touched}"


def export(
    run: Path,
    data: Path,
    out: Path,
    *,
    name: str | None = None,
    half: bool = False,
    layout: str = "auto",
    svm: Sequence[float] | None = None,
) -> Path:
    """Write the bundle of a finished run to the folder `out`, whole or not at all; gives back `out`.

    `half` stores the weights in half precision, in half the space; they are widened when the network is loaded, and it computes as
    fast as before. `layout` says how `data` is laid out (see `load_faces`). `svm` puts a linear SVM in the place of each last layer
    (see `mien.training.svm`), with the best of these values of C, or of the usual ones where there are none in it.

    Needs the faces again: temperature and prior are found on PublicTest, then every figure of the card is measured, on
    PublicTest and once on PrivateTest. Raises `ModelError` where the exported network differs, `DataError` for a missing run.
    """
    recipe = run_recipe(run)
    if out.exists():
        raise DataError(f"{out}: is there already; remove it or give another folder")
    network = averaged_network(run)
    faces = load_faces(data, recipe.crop, align=recipe.align, layout=layout)
    recipe.learning(faces.names)
    select = faces.of("PublicTest")
    fer2013 = is_fer2013(data, layout)
    machines = {} if svm is None else _svms(network, faces, recipe, tuple(svm))
    with new_folder(out) as folder:
        to_onnx(network, recipe.crop, tuple(recipe.heads), folder / "model.onnx")
        batch = network_input(select.crops[:256], recipe.mean, recipe.std)
        check_same(network, OnnxSession(folder / "model.onnx"), batch[:64])
        if half:
            store_half(folder / "model.onnx")
        session = OnnxSession(folder / "model.onnx")
        if half:
            check_same(network, session, batch, tolerance=HALF_TOLERANCE)
        splits = [split for split in ("PublicTest", "PrivateTest") if (faces.split == split).any()]
        logits = {split: _logits(session, recipe, faces.of(split)) for split in splits}
        heads = tuple(tuned_head(n, logits["PublicTest"][n], select, faces.of("Training")) for n in recipe.heads)
        facts = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
        spec = ModelSpec(
            name=name or recipe.name,
            version=f"{mien.__version__}+{date.today().isoformat()}",
            description="; ".join(
                filter(None, [recipe.description, "the last layers are linear one-vs-all SVMs" if machines else ""])
            ),
            crop=recipe.crop,
            mean=recipe.mean,
            std=recipe.std,
            heads=heads,
            sha256=sha256_of(folder / "model.onnx"),
            licences=_licences(recipe, fer2013),
            data=_data(faces, recipe, int(facts.get("faces", (faces.split == "Training").sum())), fer2013),
            recipe=recipe.to_json()
            | ({"svm": machines} if machines else {})
            | {"stored": "float16" if half else "float32", "versions": facts.get("versions", versions())},
            commit=str(facts.get("commit") or commit()),
            evaluation={},
        )
        write_bundle(spec, folder)
        bundle = load_model(folder)
        evaluation: dict[str, Any] = {"parameters": count_parameters(network)}
        for head in heads:
            protocol = protocol_for(head.name, faces)
            evaluation[protocol] = {
                split: measured(bundle, data, protocol, head, faces.of(split), logits[split], layout=layout) for split in splits
            }
        write_bundle(ModelSpec(**{f: getattr(spec, f) for f in spec.__dataclass_fields__} | {"evaluation": evaluation}), folder)
    return out


def _svms(network: torch.nn.Module, faces: FaceSet, recipe: Recipe, c_values: tuple[float, ...]) -> dict[str, dict[str, Any]]:
    """Puts an SVM on each head; gives back how each was chosen."""
    from mien.training.svm import C_VALUES, fit_svm

    train, select = faces.of("Training"), faces.of("PublicTest")
    standard = {"mean": recipe.mean, "std": recipe.std}
    return {h: fit_svm(network, train, select, h, **standard, c_values=c_values or C_VALUES).to_json() for h in recipe.heads}


def write_bundle(spec: ModelSpec, folder: Path) -> None:
    """model.json and CARD.md beside the model.onnx in `folder`."""
    (folder / "model.json").write_text(json.dumps(spec.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(card(spec), encoding="utf-8")


def to_onnx(network: torch.nn.Module, crop: CropSpec, heads: tuple[str, ...], path: Path) -> None:
    """The network as one ONNX file with a free batch size and an output per head."""

    class Outputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.network(batch)
            return tuple(found[name] for name in heads)

    channels = 1 if crop.colour == "gray" else 3
    example = torch.zeros(2, channels, crop.size, crop.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on its own deprecations
        program = torch.onnx.export(
            Outputs().eval(),
            (example,),
            dynamo=True,
            input_names=["crops"],
            output_names=list(heads),
            dynamic_shapes={"batch": {0: torch.export.Dim("faces", min=1)}},
            opset_version=18,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"{path}: torch.onnx.export gave no program")
    program.save(str(path), external_data=False)
    forget_places(path)


def forget_places(path: Path) -> None:
    """Rewrite an ONNX file without the exporter's notes of where each operation was written: they name folders of the machine."""
    model = onnx.load(str(path))
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, str(path))


def store_half(path: Path) -> None:
    """Rewrite an ONNX file with its larger weights as float16, each followed by a cast that the runtime does once, at loading."""
    model = onnx.load(str(path))
    graph = model.graph
    casts, kept = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 256:
            kept.append(weight)
            continue
        if not np.abs(values).max() < np.finfo(np.float16).max:
            raise ModelError(f"{path}: {weight.name} holds weights that half precision cannot; export without half")
        kept.append(numpy_helper.from_array(values.astype(np.float16), f"{weight.name}.half"))
        casts.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*casts, *nodes])
    del graph.value_info[:]  # what they say of the weights is no longer so
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def protocol_for(head: str, faces: FaceSet) -> str:
    """How a head is judged on these faces: by the raters' majority where there are votes, by single labels elsewhere."""
    if head == "ferplus":
        return "ferplus-strict" if faces.votes.any() else "labels"
    return "fer2013" if head == "fer2013" else "labels"


def _logits(session: OnnxSession, recipe: Recipe, faces: FaceSet, *, batch: int = 256) -> dict[str, NDArray[np.float32]]:
    """Head → logits (N, K) of the exported network for the faces."""
    starts = range(0, len(faces), batch)
    parts = [session(network_input(faces.crops[i : i + batch], recipe.mean, recipe.std)) for i in starts]
    return {head: np.concatenate([part[head] for part in parts]) for head in recipe.heads}


def measured(
    bundle: Bundle,
    data: Path,
    protocol: str,
    head: Head,
    faces: FaceSet,
    logits: Mapping[str, NDArray[np.float32]],
    *,
    layout: str,
) -> dict[str, Any]:
    """All that a card says of one of a bundle's heads on a split of `data`: of its `faces`, for which all heads gave `logits`."""
    found = evaluate_bundle(bundle, data, protocol, split=str(faces.split[0]), layout=layout, head=head.name)
    return found | {"priors": prior_effects(head, bundle.spec.heads, logits, faces, protocol)}


def prior_effects(
    head: Head, heads: Sequence[Head], logits: Mapping[str, NDArray[np.float32]], faces: FaceSet, protocol: str
) -> dict[str, dict[str, float]]:
    """What each prior of one of the `heads`, and the one it was tuned to, makes of the logits for the faces of one split."""
    names = ("accuracy", "macro_f1", "balanced_accuracy", "ece")
    found = {}
    for way, leaning in {"tuned": head, **{prior.name: head.with_prior(prior.name) for prior in head.priors}}.items():
        scores = evaluate(leaning.decide(logits, heads), faces, protocol, labels=head.labels, rounds=1)
        found[way] = {name: float(scores[name]) for name in names}
    return found


def check_same(
    network: torch.nn.Module, session: OnnxSession, batch: NDArray[np.float32], *, tolerance: float = TOLERANCE
) -> float:
    """The largest absolute difference of logits between torch and the exported network. Raises `ModelError` above `tolerance`."""
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(np.ascontiguousarray(batch)))
    given = session(batch)
    # numpy's max, for Python's forgets a NaN that does not come first.
    difference = float(np.max([np.abs(wanted[name].numpy() - given[name]).max() for name in wanted]))
    if not difference <= tolerance:
        raise ModelError(f"the exported network differs from the trained one by {difference:.2g}; wanted at most {tolerance:g}")
    return difference


def tuned_head(name: str, logits: NDArray[np.float32], select: FaceSet, train: FaceSet) -> Head:
    """Prior, then temperature, on the selection split; and the two priors that may be asked for by name.

    Where the selection split lacks a class, how frequent each is is that of Training; a class that is missing there too is not
    leant towards.
    """
    labels = train.label_set(name)
    truth = select.truth(name)
    counts = truth >= 0
    goal = select.targets(name)
    if not goal.any(axis=0).all():
        goal = train.targets(name)
    share = goal.sum(axis=0) / max(1.0, float(goal.sum()))
    share = np.where(share > 0, share, np.exp(np.log(share[share > 0]).mean()))  # in the middle: moved neither way
    even = -np.log(np.maximum(share, 1e-4))

    def way(bias: NDArray[np.floating]) -> tuple[float, tuple[float, ...]]:
        return round(fit_temperature(logits[counts] + bias, truth[counts]), 4), tuple(round(float(b), 4) for b in bias)

    # A bias towards contempt, which hardly ever is what most raters say, costs more than it finds.
    leant = np.array([label != "contempt" for label in labels])
    even = np.where(leant, even - even[leant].mean(), 0.0)
    ways = {"natural": way(np.zeros(len(labels))), "balanced": way(even)}
    priors = tuple(Prior(prior, temperature, bias) for prior, (temperature, bias) in ways.items())
    temperature, bias = way(choose_prior(logits[counts], truth[counts], share))
    return Head(name, labels, temperature, bias, priors)


def choose_prior(logits: NDArray[np.float32], truth: NDArray[np.int64], prior: NDArray[np.floating]) -> NDArray[np.float64]:
    """The bias -τ log(prior) (Menon et al. 2021) with the best macro-F1 among τ = 0, .05 … 1 that costs little accuracy."""
    log_prior = np.log(np.maximum(prior, 1e-4))
    log_prior = log_prior - log_prior.mean()
    best, best_f1, floor = np.zeros_like(log_prior), -1.0, None
    for tau in np.arange(0, 1.001, 0.05):
        scores = class_scores(truth, (logits - tau * log_prior).argmax(axis=1), len(prior))
        floor = scores["accuracy"] - ACCURACY_TO_GIVE if floor is None else max(floor, scores["accuracy"] - ACCURACY_TO_GIVE)
        if scores["accuracy"] >= floor and scores["macro_f1"] > best_f1:
            best, best_f1 = -tau * log_prior, scores["macro_f1"]
    return np.asarray(best, dtype=np.float64)


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al. 2017)."""

    def loss(log_t: float) -> float:
        z = logits.astype(np.float64) / np.exp(log_t)
        z = z - z.max(axis=1, keepdims=True)
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(truth)), truth]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))
