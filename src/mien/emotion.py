"""Crops → (N, K) probabilities."""

import os
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.crop import CropSpec
from mien.models import Bundle, load_model


class EmotionModel(Protocol):
    """Says of upright crops which expression each appears to show. Holds no state; `facts` are plain JSON values."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def crop(self) -> CropSpec: ...

    @property
    def facts(self) -> dict[str, Any]: ...

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


class Expressions:
    """The expression network of a bundle.

    model       name or folder of a bundle, or a `Bundle`
    head        which of the bundle's label sets; None takes its first
    prior       how the decision leans: None as the bundle was tuned, or the name of another of its priors: "natural", "balanced",
                "fused"
    flip        average with the mirrored crop: about half a point better, twice the time
    batch_size  faces that go through the network at once
    device      what the network runs on, one of `mien.models.DEVICES`; a `Bundle` has its own

    Raises `ModelError` where the bundle is missing or damaged.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle = "default",
        *,
        head: str | None = None,
        prior: str | None = None,
        flip: bool = False,
        batch_size: int = 64,
        device: str = "cpu",
    ) -> None:
        self._bundle = model if isinstance(model, Bundle) else load_model(model, device)
        self._head = self._bundle.spec.head(head)
        if prior is not None:
            self._head = self._head.with_prior(prior)
        self.prior = prior
        self.flip, self.batch_size = flip, batch_size

    @property
    def labels(self) -> tuple[str, ...]:
        return self._head.labels

    @property
    def crop(self) -> CropSpec:
        return self._bundle.spec.crop

    @property
    def card(self) -> str:
        return self._bundle.card

    @property
    def facts(self) -> dict[str, Any]:
        spec = self._bundle.spec
        return {
            "name": spec.name,
            "version": spec.version,
            "sha256": spec.sha256,
            "labels": self._head.name,
            "temperature": self._head.temperature,
            "prior": self.prior or "tuned",
            "flip_average": self.flip,
            "device": getattr(self._bundle.session, "device", "cpu"),
            "licence": spec.licences.get("weights", ""),
            "evaluation": spec.evaluation,
        }

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K) float32 probabilities for crops (N, S, S) grey or (N, S, S, 3) RGB uint8 as `crop` says."""
        return self.read(crops)[0]

    def read(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As a call, and (N,) float32 how far each reading can be believed (see `mien.reliability`), NaN where the bundle does not
        say."""
        outputs, heads = self.outputs(crops), self._bundle.spec.heads
        found = self._head.decide(outputs, heads)
        if self._head.reliability is None or not len(found):
            return found, np.full(len(found), np.nan, dtype=np.float32)
        return found, self._head.reliability(self._head.evidence(found, outputs, heads))

    def outputs(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The logits (N, K) of each of the network's heads."""
        want = (self.crop.size,) * 2 if self.crop.colour == "gray" else (self.crop.size, self.crop.size, 3)
        if crops.shape[1:] != want:
            raise ValueError(f"crops must have shape (_, {', '.join(map(str, want))}), but got {crops.shape}")
        found = {head.name: np.zeros((len(crops), len(head.labels)), dtype=np.float32) for head in self._bundle.spec.heads}
        for start in range(0, len(crops), self.batch_size):
            part = slice(start, start + self.batch_size)
            batch = network_input(crops[part], self._bundle.spec.mean, self._bundle.spec.std)
            logits = self._bundle.session(batch)
            mirrored = self._bundle.session(np.ascontiguousarray(batch[..., ::-1])) if self.flip else logits
            for name, rows in found.items():
                rows[part] = (logits[name] + mirrored[name]) / 2 if self.flip else logits[name]
        return found


def read_crops(model: EmotionModel, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a model says of N crops: (N, K) probabilities and (N,) their reliability, NaN of a model without a `read`."""
    read = getattr(model, "read", None)
    if read is None:
        return model(crops), np.full(len(crops), np.nan, np.float32)
    probabilities, reliability = read(crops)
    return probabilities, reliability


def network_input(crops: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float32]:
    """uint8 crops (N, S, S) or (N, S, S, 3) as the float32 batch (N, C, S, S) that a network is given."""
    values = (crops.astype(np.float32) / np.float32(255) - np.float32(mean)) / np.float32(std)
    return values[:, None] if values.ndim == 3 else np.ascontiguousarray(values.transpose(0, 3, 1, 2))


class Smoothing:
    """Exponential smoothing of each track's probabilities in time, for one stream.

    time_constant_s  after this many seconds a sudden change has come through to 63 %; 0 switches smoothing off. In seconds, not
                     in frames, so that it means the same at every sampling rate.
    """

    def __init__(self, time_constant_s: float) -> None:
        if not 0 <= time_constant_s < np.inf:
            raise ValueError(f"smoothing must be 0 s or more, but got {time_constant_s}")
        self.time_constant_s = time_constant_s
        self._last: dict[int, tuple[float, NDArray[np.float32]]] = {}

    def __len__(self) -> int:
        """How many tracks are remembered."""
        return len(self._last)

    def update(self, tracks: NDArray[np.int64], time_s: float, emotions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, K) smoothed probabilities of the faces with these track ids (N,); rows still sum to 1."""
        if not self.time_constant_s:
            return emotions
        out = np.array(emotions)
        for i, track in enumerate(tracks.tolist()):
            if track in self._last:
                then, before = self._last[track]
                share = 1 - float(np.exp(-(time_s - then) / self.time_constant_s))
                out[i] = before + np.float32(share) * (emotions[i] - before)
            self._last[track] = (time_s, out[i])
        if len(self._last) > 4 * len(tracks) + 64:
            # Ids are never used again: who has been away for long leaves nothing to smooth with.
            horizon = time_s - max(60.0, 20 * self.time_constant_s)
            self._last = {track: seen for track, seen in self._last.items() if seen[0] >= horizon}
        return out
