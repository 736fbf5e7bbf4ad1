"""A model bundle: its spec, its session, and the registry of names. The only file that imports onnxruntime.

A bundle is a folder with `model.onnx`, `model.json` and `CARD.md`. Labels, preprocessing, licences and measured figures travel with
the weights. Bundles that ship with mien lie in `mien/bundles`, those that were pulled in the user's data folder; a path to a folder
works wherever a name does. Nothing is ever downloaded but by `pull`.
"""

import functools
import hashlib
import http.client
import io
import os
import re
import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.crop import CropSpec
from mien.errors import ModelError
from mien.json_text import parsed
from mien.reliability import Reliability, evidence, evidence_size
from mien.reliability import from_json as reliability_from
from mien.reliability import to_json as reliability_json

# Unless this is set before it is loaded, onnxruntime (1.31 and later) reports its use to its makers over the network and keeps an
# identifier of the machine in the user's cache. Where faces are looked at, nothing is told to anybody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

ort.disable_telemetry_events()  # where somebody else has loaded it before

FORMAT = 1
"""Version of `model.json`; a bundle with another one is refused."""

DEFAULT_MODEL = "mien-lite0"
"""The bundle that `default` names."""

MAX_BUNDLE_MB = 500
"""`pull` reads no more than this."""


class Session(Protocol):
    """Runs a network: a batch in, every output by its name out."""

    def __call__(self, batch: NDArray[Any]) -> Mapping[str, NDArray[Any]]: ...


DEVICES = ("cpu", "cuda", "openvino", "auto")
"""What networks may run on; `auto` is the first of the others that works here, the CPU at last."""

_PROVIDERS: dict[str, tuple[str, dict[str, str], str]] = {
    # Products are not rounded to ten bits, and no search for the fastest way begins anew with each size of picture.
    "cuda": (
        "CUDAExecutionProvider",
        {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
        "onnxruntime-gpu",
    ),
    "openvino": (
        "OpenVINOExecutionProvider",
        {"device_type": "CPU", "load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}}'},
        "onnxruntime-openvino",
    ),
}
"""Of a device: onnxruntime's name of it, how it is asked to reckon, and the package whose onnxruntime has it."""


class OnnxSession:
    """A network in onnxruntime, one thread of the CPU. Calls from several threads at once are safe and hold no state.

    model   a path or the file's bytes
    device  one of `DEVICES`; the attribute of this name says which one it has become

    Raises `ModelError` for what is no ONNX network, and for a device that is not here.
    """

    def __init__(self, model: Path | bytes, *, name: str = "model", device: str = "cpu") -> None:
        if device not in DEVICES:
            raise ValueError(f"no device {device!r}; known: {', '.join(DEVICES)}")
        if device not in (here := devices()) and device != "auto":
            raise ModelError(f"--device {device}: this onnxruntime does not have it; {_remedy(device)}")
        tried = here if device == "auto" else [device]
        options = ort.SessionOptions()
        # Two threads on a shared core have been measured to be many times slower than one; streams and files run side by side.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if tried != ["cpu"]:
            ort.set_default_logger_severity(4)  # a library that is missing is told in one line, here
        source = model if isinstance(model, bytes) else str(model)
        for self.device in tried:
            provider, how, _ = _PROVIDERS.get(self.device, ("CPUExecutionProvider", {}, ""))
            try:
                self._session = ort.InferenceSession(source, options, providers=[(provider, how)])
            except Exception as error:  # onnxruntime raises a different class for each cause, none of them documented
                if self.device == "cpu":
                    raise ModelError(f"{name}: not a network that onnxruntime can load: {_first_line(error)}") from error
                failed = error
            else:
                if provider in self._session.get_providers():  # else it took the CPU in its place, in silence
                    break
                failed = RuntimeError("its libraries or the device itself are not here")
            if self.device == device:
                raise ModelError(f"--device {device}: cannot be used: {_first_line(failed)}; {_remedy(device)}") from failed
        self._input = self._session.get_inputs()[0].name
        self.input_shape: list[Any] = list(self._session.get_inputs()[0].shape)
        self.outputs: list[str] = [o.name for o in self._session.get_outputs()]
        self.output_shapes: dict[str, list[Any]] = {o.name: list(o.shape) for o in self._session.get_outputs()}

    def __call__(self, batch: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        return dict(zip(self.outputs, self._session.run(None, {self._input: batch}), strict=True))


def devices() -> list[str]:
    """Those of `DEVICES` that this onnxruntime was built for; whether one works is known when a network is loaded on it."""
    here = ort.get_available_providers()
    return [*(one for one, (provider, _, _) in _PROVIDERS.items() if provider in here), "cpu"]


def _remedy(device: str) -> str:
    package = _PROVIDERS[device][2]
    # Both packages write the folder onnxruntime, and the one that came last is the one that is there.
    return f"run: pip uninstall -y onnxruntime {package} && pip install {package}; or take --device cpu"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True, slots=True)
class Fusion:
    """The say that another head of the network has in a decision.

    head    the other one's name        weight  its share in the logarithms of the probabilities, from 0 to 1
    bias    what is added to its logits first, one for each of its labels
    scale   what its logits are divided by before that, so that both heads' are of one size
    """

    head: str
    weight: float
    bias: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """Another decision from the same logits: a bias for each label and the temperature that goes with it.

    `natural` takes expressions to be as frequent as in the training data: most often right where they are. `balanced` takes each to
    be as frequent as any other: finds more of the rare ones, and is right less often where they are rare. `fused` asks another head
    too. `reliability` says how far it can be believed; None where that was not measured.
    """

    name: str
    temperature: float
    bias: tuple[float, ...]
    fusion: Fusion | None = None
    reliability: Reliability | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """One set of labels that a network speaks: output `name` gives logits (N, K) for `labels`.

    Probabilities are softmax((logits + bias) / temperature). The temperature makes them honest (Guo et al. 2017), the bias moves
    the decision's prior away from the training set's (logit adjustment, Menon et al. 2021); both are found on the selection split.
    With a `fusion` another head's logits count as well. `priors` are other decisions that may be asked for by name.
    """

    name: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    priors: tuple[Prior, ...] = ()
    fusion: Fusion | None = None
    reliability: Reliability | None = None

    def with_prior(self, name: str) -> "Head":
        """This head deciding by another of its priors. Raises `ModelError` for one that it does not have."""
        for prior in self.priors:
            if prior.name == name:
                return replace(
                    self,
                    temperature=prior.temperature,
                    bias=prior.bias,
                    fusion=prior.fusion,
                    reliability=prior.reliability,
                )
        known = ", ".join(prior.name for prior in self.priors) or "none but its own"
        raise ModelError(f"label set {self.name!r}: no prior {name!r}; it has: {known}")

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, K) float32, each row sums to 1, from logits (N, K) of this head alone."""
        return self._softmax(self._moved(logits))

    def decide(self, outputs: Mapping[str, NDArray[np.floating]], heads: Sequence["Head"]) -> NDArray[np.float32]:
        """(N, K) float32, each row sums to 1, from the logits of all of the network's `heads` by their names.

        With a fusion the labels that both heads have are weighed by both. How likely one is that the other head lacks, against all
        of the others, is left to this head.
        """
        own = self._moved(outputs[self.name])
        if self.fusion is None:
            return self._softmax(own)
        other = next(head for head in heads if head.name == self.fusion.head)
        shared = [i for i, name in enumerate(self.labels) if name in other.labels]
        theirs = np.asarray(outputs[other.name], dtype=np.float64) / self.fusion.scale + np.asarray(self.fusion.bias)
        theirs = _log_softmax(theirs[:, [other.labels.index(self.labels[i]) for i in shared]])
        total = np.log(np.exp(own[:, shared] - own.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        own = own - own.max(axis=1, keepdims=True) - total
        own[:, shared] = _log_softmax((1 - self.fusion.weight) * own[:, shared] + self.fusion.weight * theirs)
        return self._softmax(own)

    def evidence(
        self, decided: NDArray[np.floating], outputs: Mapping[str, NDArray[np.floating]], heads: Sequence["Head"]
    ) -> NDArray[np.float64]:
        """(N, D) what the reliability of a decision (N, K) is judged by; see `mien.reliability.evidence`."""
        others = {head.labels: outputs[head.name] for head in heads if head.name != self.name}
        return evidence(decided, self.labels, outputs[self.name], others)

    def _moved(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        z = np.asarray(logits, dtype=np.float64)
        return z + np.asarray(self.bias) if self.bias else z

    def _softmax(self, z: NDArray[np.float64]) -> NDArray[np.float32]:
        z = z / self.temperature
        z = np.exp(z - z.max(axis=-1, keepdims=True))
        return np.asarray(z / z.sum(axis=-1, keepdims=True), dtype=np.float32)


def _log_softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)), dtype=np.float64)


def _way_json(way: Head | Prior) -> dict[str, Any]:
    """How a decision is made, for `model.json`."""
    found: dict[str, Any] = {"temperature": way.temperature, "bias": list(way.bias)}
    found["fusion"] = None if way.fusion is None else asdict(way.fusion) | {"bias": list(way.fusion.bias)}
    found["reliability"] = None if way.reliability is None else reliability_json(way.reliability)
    return found


def _way(content: Mapping[str, Any], bias: Any) -> tuple[float, tuple[float, ...], Fusion | None, Reliability | None]:
    """temperature, bias, fusion and reliability of a decision; bundles of before have neither of the last two."""
    fusion, reliability = content.get("fusion"), content.get("reliability")
    return (
        float(content["temperature"]),
        tuple(float(b) for b in bias),
        None
        if fusion is None
        else Fusion(str(fusion["head"]), float(fusion["weight"]), tuple(map(float, fusion["bias"])), float(fusion["scale"])),
        None if reliability is None else reliability_from(reliability),
    )


def _prior(name: str, content: Mapping[str, Any]) -> Prior:
    temperature, bias, fusion, reliability = _way(content, content["bias"])
    return Prior(name, temperature, bias, fusion, reliability)


def _head(content: Mapping[str, Any]) -> Head:
    temperature, bias, fusion, reliability = _way(content, content.get("bias", ()))
    priors = tuple(_prior(str(name), prior) for name, prior in content.get("priors", {}).items())
    return Head(str(content["name"]), tuple(content["labels"]), temperature, bias, priors, fusion, reliability)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `model.json` says. The first head is the one used unless another is asked for.

    calibration  what `mien calibrate` found: the decision and its reliability, kind of damage by kind; empty in bundles of before
    mean, std  of the grey or colour values as shares of 255: the network is given (value / 255 - mean) / std, laid out NCHW
    """

    name: str
    version: str
    crop: CropSpec
    mean: float
    std: float
    heads: tuple[Head, ...]
    sha256: str
    licences: dict[str, str]
    data: str
    recipe: dict[str, Any]
    commit: str
    evaluation: dict[str, Any]
    description: str = ""
    calibration: dict[str, Any] = field(default_factory=dict)

    def head(self, name: str | None = None) -> Head:
        """The head called `name`, or the first. Raises `ModelError` for a name that the model does not have."""
        for head in self.heads:
            if name is None or head.name == name:
                return head
        raise ModelError(f"{self.name}: no label set {name!r}; it has: {', '.join(h.name for h in self.heads)}")

    def to_json(self) -> dict[str, Any]:
        """The content of `model.json`."""
        return {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "input": {"layout": "NCHW", "mean": self.mean, "std": self.std},
            "crop": self.crop.to_json(),
            "heads": [
                {"name": h.name, "labels": list(h.labels)} | _way_json(h) | {"priors": {p.name: _way_json(p) for p in h.priors}}
                for h in self.heads
            ],
            "sha256": self.sha256,
            "licences": self.licences,
            "data": self.data,
            "recipe": self.recipe,
            "commit": self.commit,
            "evaluation": self.evaluation,
            "calibration": self.calibration,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> "ModelSpec":
        """Raises `ModelError` that names `where` for anything missing or of the wrong kind."""
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
            raise ModelError(f"{where}: wanted model.json of format {FORMAT}, but got {found!r}")
        try:
            heads = tuple(_head(h) for h in content["heads"])
            spec = cls(
                name=str(content["name"]),
                version=str(content["version"]),
                description=str(content.get("description", "")),
                crop=CropSpec(**content["crop"]),
                mean=float(content["input"]["mean"]),
                std=float(content["input"]["std"]),
                heads=heads,
                sha256=str(content["sha256"]),
                licences=dict(content["licences"]),
                data=str(content["data"]),
                recipe=dict(content["recipe"]),
                commit=str(content["commit"]),
                evaluation=dict(content["evaluation"]),
                calibration=dict(content.get("calibration", {})),
            )
        except KeyError as error:
            raise ModelError(f"{where}: model.json lacks {error.args[0]!r}") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"{where}: model.json: {error}") from error
        if not heads:
            raise ModelError(f"{where}: model.json names no head")
        if not 0 < spec.std < np.inf or not np.isfinite(spec.mean):
            raise ModelError(f"{where}: model.json: wanted a finite mean and std above 0, but got {spec.mean:g} and {spec.std:g}")
        for head in heads:
            texts = all(isinstance(name, str) and name for name in head.labels)
            if not head.labels or not texts or len(set(head.labels)) != len(head.labels):
                raise ModelError(f"{where}: head {head.name!r} wants labels that are different words, but got {list(head.labels)}")
            _check_way(head, head, heads, where)
            for prior in head.priors:
                _check_way(head, prior, heads, where)
        return spec


def _check_way(head: Head, way: Head | Prior, heads: Sequence[Head], where: str) -> None:
    if not (0 < way.temperature < np.inf and len(way.bias) in (0, len(head.labels))):
        raise ModelError(f"{where}: head {head.name!r} wants a temperature above 0 and as many biases as labels")
    others = [other for other in heads if other.name != head.name]
    if way.fusion is not None:
        asked = next((other for other in others if other.name == way.fusion.head), None)
        fits = asked is not None and len(way.fusion.bias) == len(asked.labels) and set(asked.labels) & set(head.labels)
        if not fits or not 0 <= way.fusion.weight <= 1 or not 0 < way.fusion.scale < np.inf:
            raise ModelError(f"{where}: head {head.name!r} wants a fusion with another head, a weight from 0 to 1, a bias a label")
    if way.reliability is not None:
        wanted = evidence_size(head.labels, [other.labels for other in others])
        if len(way.reliability.weights) != wanted:
            given = len(way.reliability.weights)
            raise ModelError(f"{where}: head {head.name!r} wants {wanted} weights of its reliability, but got {given}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model folder that was read and found whole: its spec, its network and where it lies."""

    spec: ModelSpec
    session: Session
    folder: Path

    @property
    def card(self) -> str:
        """The text of CARD.md, empty where there is none; what is no text in it stands as �."""
        path = self.folder / "CARD.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundled_folder() -> Path:
    """Where the bundles lie that ship with mien."""
    return Path(str(resources.files("mien"))) / "bundles"


def pulled_folder() -> Path:
    """Where `pull` puts bundles: `$MIEN_HOME/models`, or the platform's data folder for users."""
    home = os.environ.get("MIEN_HOME")
    if home:
        return Path(home) / "models"
    import platformdirs

    return Path(platformdirs.user_data_dir("mien", appauthor=False)) / "models"


def known_models() -> dict[str, Path]:
    """Name → folder of every bundle that is here without a download; the bundled ones first, in alphabetical order."""
    found: dict[str, Path] = {}
    for root in (bundled_folder(), pulled_folder()):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / "model.json").is_file():
                    found.setdefault(folder.name, folder)
    return found


def find_model(model: str | os.PathLike[str]) -> Path:
    """The folder of a model given by name, by `default` or by path; a `Path` is never a name.

    Raises `ModelError` that lists the known ones, also for a name that stands for a folder here as well.
    """
    known = known_models()
    name = DEFAULT_MODEL if model == "default" else os.fspath(model)
    folder = Path(name)
    if isinstance(model, str) and name in known:
        if name == model and (folder / "model.json").is_file():
            # Often the model that was exported a moment ago: to measure the other one in its place would go unnoticed.
            raise ModelError(f"{name!r} is a known model and a folder here; write {os.path.join('.', name)} to mean the folder")
        return known[name]
    if folder.is_dir():
        return folder
    raise ModelError(f"no model {name!r}; known: {', '.join(known) or 'none'}; or give a folder")


def read_spec(folder: Path) -> ModelSpec:
    """What `model.json` in `folder` says, without loading the network."""
    path = folder / "model.json"
    if not path.is_file():
        raise ModelError(f"{folder}: wanted a model folder with model.json, model.onnx and CARD.md, but there is no model.json")
    try:
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: model.json cannot be read: {_first_line(error)}") from error
    return ModelSpec.from_json(content, str(folder))


def load_model(model: str | os.PathLike[str] = "default", device: str = "cpu") -> Bundle:
    """A bundle by name or folder, checked: SHA-256 of the network, its outputs and their number of labels.

    The same folder is loaded once a process and device, one of `DEVICES`. Raises `ModelError`.
    """
    folder = find_model(model).resolve()
    stamps = tuple(p.stat().st_mtime_ns if p.exists() else 0 for p in (folder / "model.json", folder / "model.onnx"))
    return _load(folder, stamps, device)


@functools.lru_cache(maxsize=8)
def _load(folder: Path, stamps: tuple[int, ...], device: str) -> Bundle:
    spec = read_spec(folder)
    network = folder / "model.onnx"
    if not network.is_file():
        raise ModelError(f"{folder}: there is no model.onnx; copy the folder again or pull the model anew")
    found = sha256_of(network)
    if found != spec.sha256:
        raise ModelError(
            f"{folder}: model.onnx is damaged or was exchanged: wanted sha256 {spec.sha256[:12]}…, but got {found[:12]}…; "
            "copy the folder again or pull the model anew"
        )
    session = OnnxSession(network, name=str(folder), device=device)
    wanted = [1 if spec.crop.colour == "gray" else 3, spec.crop.size, spec.crop.size]
    given = session.input_shape[1:]
    if len(given) != 3 or any(isinstance(g, int) and g != w for g, w in zip(given, wanted, strict=True)):
        raise ModelError(f"{folder}: the network wants pictures of {given}, but the crop in model.json gives {wanted}")
    for head in spec.heads:
        if head.name not in session.outputs:
            raise ModelError(f"{folder}: the network has no output {head.name!r}; it has: {', '.join(session.outputs)}")
        count = session.output_shapes[head.name][-1]
        if count != len(head.labels):
            raise ModelError(f"{folder}: head {head.name!r} gives {count} values for {len(head.labels)} labels in model.json")
    return Bundle(spec, session, folder)


def pull(name: str, url: str, sha256: str, *, timeout_s: float = 60.0) -> Path:
    """Download the bundle `name` (a zip of its folder) from `url`, check it against `sha256`, and put it among the known models.

    Nothing is unpacked, and nothing already there is touched, before the whole file is found to be right. Raises `ModelError`.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name == "default":
        raise ModelError(f"no model can be called {name!r}: wanted small letters, digits, dots and dashes, not 'default'")
    if (bundled_folder() / name).is_dir():
        raise ModelError(f"{name}: a model of this name ships with mien and would be found first; give another name")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise ModelError(f"{name}: wanted a sha256 of 64 hexadecimal digits, but got {sha256!r}")
    limit = MAX_BUNDLE_MB * 1_000_000
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            content = answer.read(limit + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ModelError(f"{name}: cannot be downloaded from {url}: {_first_line(error)}; nothing was changed") from error
    if len(content) > limit:
        raise ModelError(f"{name}: {url} is larger than {MAX_BUNDLE_MB} MB; nothing was changed")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise ModelError(f"{name}: wanted sha256 {sha256[:12]}…, but {url} has {found[:12]}…; nothing was changed")
    target = pulled_folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > limit:
                    raise ModelError(f"{name}: {url} is larger than {MAX_BUNDLE_MB} MB when unpacked; nothing was changed")
                archive.extractall(scratch)
        except OSError as error:
            raise ModelError(f"{name}: cannot be unpacked: {error.strerror or error}; nothing was changed") from error
        except ModelError:
            raise
        except Exception as error:  # of a damaged one, zipfile raises whatever its parsing and unpacking met
            raise ModelError(f"{name}: {url} is not a zip file that can be read; nothing was changed") from error
        holders = [p.parent for p in Path(scratch).rglob("model.json")]
        if len(holders) != 1:
            raise ModelError(f"{name}: wanted one model.json in the zip, but got {len(holders)}; nothing was changed")
        load_model(holders[0])
        if target.exists():
            shutil.rmtree(target)
        holders[0].replace(target)
    return target
