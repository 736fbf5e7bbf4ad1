"""Stand-ins for networks, cameras and faces, so that most tests need no weights.

A fake face is a square of one bright colour on grey ground: `FakeDetector` finds it, `FakeExpressions` reads its colour, red for
anger, green for happiness, blue for sadness. Both survive the compression of a film.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mien.analyze import Analyzer
from mien.cluster import AnalysisOptions
from mien.crop import TEMPLATE, CropSpec
from mien.media import VideoWriter
from mien.models import sha256_of
from mien.types import Faces, Frame, MediaInfo

LABELS = ("anger", "happiness", "sadness")
COLOURS = {"anger": (230, 20, 20), "happiness": (20, 210, 20), "sadness": (20, 20, 230)}
GROUND = 128

Square = tuple[int, int, int, str]  # x, y, side, expression


def scene(squares: Iterable[Square], width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A picture of fake faces."""
    rgb = np.full((height, width, 3), GROUND, np.uint8)
    for x, y, side, expression in squares:
        rgb[max(0, y) : y + side, max(0, x) : x + side] = COLOURS[expression]
    return rgb


def write_film(path: Path, scenes: Iterable[tuple[float, Iterable[Square]]], **size: int) -> Path:
    """A film of fake faces: (seconds, squares) for each frame."""
    with VideoWriter(path, size.get("width", 160), size.get("height", 120), fps_hint=10) as film:
        for time_s, squares in scenes:
            film.write(scene(squares, **size), time_s)
    return path


class FakeDetector:
    """Finds squares of bright colour, from left to right. `landmarks=False` gives NaN, as Haar does; `look` sees each picture."""

    def __init__(self, *, landmarks: bool = True, look: Callable[[NDArray[np.uint8]], None] | None = None) -> None:
        self.landmarks, self.look, self.calls = landmarks, look, 0

    @property
    def facts(self) -> dict[str, Any]:
        return {"name": "fake detector", "version": "1", "sha256": "0" * 64, "licence": "none"}

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        self.calls += 1
        if self.look is not None:
            self.look(rgb)
        colourful = (rgb.max(axis=2).astype(int) - rgb.min(axis=2) > 90).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(colourful)
        boxes = np.array(
            sorted([x, y, x + w, y + h] for x, y, w, h, area in stats[1:count].tolist() if area >= 16), np.float32
        ).reshape(-1, 4)
        n = len(boxes)
        points = np.full((n, 5, 2), np.nan, np.float32)
        if self.landmarks:
            points = boxes[:, None, :2] + np.array(TEMPLATE, np.float32) * (boxes[:, 2:] - boxes[:, :2])[:, None]
        return Faces(boxes, np.full(n, 0.9), points)


class FakeExpressions:
    """The shares of red, green and blue in the middle of a crop, as if they were probabilities."""

    labels = LABELS
    crop = CropSpec(size=8, colour="rgb", detail=0)

    def __init__(self) -> None:
        self.seen = 0

    @property
    def facts(self) -> dict[str, Any]:
        return {"name": "fake expressions", "version": "1", "sha256": "1" * 64, "licence": "none", "evaluation": {}}

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(crops)
        middle = crops[:, 2:6, 2:6].reshape(len(crops), -1, 3).mean(axis=1) + 1e-3
        return np.asarray(middle / middle.sum(axis=1, keepdims=True), np.float32)


class FakeSession:
    """A network made of a function: batch in, outputs by name out. Keeps the shapes that it was given."""

    def __init__(self, answer: Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]) -> None:
        self.answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        self.shapes.append(batch.shape)
        return self.answer(batch)


class FakeMedia:
    """Frames from a list, as an opened film or camera; `error` comes after the last of them. `closed` counts ended iterators."""

    def __init__(self, frames: Sequence[Frame], *, kind: Any = "video", error: BaseException | None = None) -> None:
        height, width = frames[0].rgb.shape[:2] if frames else (120, 160)
        self.info = MediaInfo("fake.mp4", kind, width, height, None, None, None, False, "fake")
        self.given, self.error = list(frames), error
        self.taken = self.closed = 0

    def frames(self, every: float | None = None) -> Iterator[Frame]:
        due = -1.0
        try:
            for frame in self.given:
                if every and frame.time_s < due:
                    continue
                due = frame.time_s + (every or 0)
                self.taken += 1
                yield frame
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


def frames(scenes: Iterable[tuple[float, Iterable[Square]]]) -> list[Frame]:
    return [Frame(i, time_s, scene(squares)) for i, (time_s, squares) in enumerate(scenes)]


def tiny_network(path: Path, outputs: Mapping[str, int], *, size: int = 8, seed: int = 0) -> Path:
    """One layer from (N, 1, size, size) to each output's so many values, as ONNX."""
    rng = np.random.default_rng(seed)
    nodes = [helper.make_node("Flatten", ["crops"], ["flat"])]
    weights = []
    for name, count in outputs.items():
        weights.append(numpy_helper.from_array(rng.normal(0, 0.5, (size * size, count)).astype(np.float32), f"{name}_w"))
        nodes.append(helper.make_node("MatMul", ["flat", f"{name}_w"], [name]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["faces", 1, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", count]) for name, count in outputs.items()],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


def tiny_bundle(
    folder: Path, *, labels: Sequence[str] = LABELS, outputs: Mapping[str, int] | None = None, size: int = 8, **changes: Any
) -> Path:
    """A model folder with a tiny network whose head `faces` speaks `labels`; `changes` replace keys of model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_network(folder / "model.onnx", outputs or {"faces": len(labels)}, size=size)
    content = {
        "format": 1,
        "name": folder.name,
        "version": "1",
        "description": "a test network",
        "input": {"layout": "NCHW", "mean": 0.5, "std": 0.25},
        "crop": {"size": size, "colour": "gray", "detail": 0, "rotate": True, "denoise": False, "contrast": False},
        "heads": [{"name": "faces", "labels": list(labels), "temperature": 1.0, "bias": []}],
        "sha256": sha256_of(folder / "model.onnx"),
        "licences": {"weights": "none"},
        "data": "none",
        "recipe": {},
        "commit": "unknown",
        "evaluation": {},
    } | changes
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "CARD.md").write_text(f"# {folder.name}\n", encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class FakeOptions(AnalysisOptions):
    """Analysis without weights that travels to other processes.

    deadly    the process dies at a picture with a red face, as by a decoder that crashes
    stuck     it hangs at a picture with a red face, for ever
    told      each look waits for a byte on stdin, as long as that is open
    gate      each look waits until there is a file of this name
    """

    deadly: bool = False
    stuck: bool = False
    told: bool = False
    gate: str | None = None

    def analyzer(self) -> Analyzer:
        def look(rgb: NDArray[np.uint8]) -> None:
            if self.told:
                os.read(0, 1)
            while self.gate and not os.path.exists(self.gate):
                time.sleep(0.01)
            red = (rgb.astype(int) @ [2, -1, -1]).max() > 300
            if self.deadly and red:
                os._exit(9)
            while self.stuck and red:
                time.sleep(0.1)

        return Analyzer(FakeExpressions(), detector=FakeDetector(look=look), baseline_s=self.baseline_s)
