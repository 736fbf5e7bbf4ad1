import numpy as np
import pytest

from mien.labels import EKMAN, FERPLUS
from mien.study_report.sample import timeline_of
from mien.study_report.viewers import Viewer
from mien.types import Timeline

TIMES = np.arange(4.0)


def timeline(count: int = 8) -> Timeline:
    return timeline_of(TIMES, np.tile(np.eye(count)[0], (4, 1)), TIMES >= 0, "x", 1.0)


def test_a_viewer_cannot_be_changed() -> None:
    viewer = Viewer("1", {"a": timeline()}, np.eye(8)[0], answers={"q": 1})
    with pytest.raises(TypeError):
        viewer.answers["q"] = 2  # type: ignore[index]
    assert viewer.baseline is not None
    with pytest.raises(ValueError, match="read-only"):
        viewer.baseline[0] = 1
    assert viewer.baseline.dtype == np.float32


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="baseline must have shape"):
        Viewer("1", {"a": timeline()}, np.ones(7))
    other = timeline()
    six = Timeline(
        *(other.info, EKMAN, other.frames, other.times, other.frame_rows, other.tracks, other.boxes, other.face_scores),
        *(other.emotions[:, :6], other.smoothed[:, :6]),
    )
    with pytest.raises(ValueError, match="same labels"):
        Viewer("1", {"a": other, "b": six})
    assert Viewer("1", {}).baseline is None
    assert other.labels == FERPLUS
