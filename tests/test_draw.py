import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.draw import annotate
from mien.labels import COLOURS, EKMAN, FER2013, FERPLUS
from mien.types import Faces, Frame, FrameResult


def result(
    width: int, height: int, boxes: list[list[float]], labels: tuple[str, ...] = FERPLUS, lead: str = "happiness", grey: int = 90
) -> FrameResult:
    n, k = len(boxes), len(labels)
    scores = np.full((n, k), 0.2 / (k - 1), np.float32)
    scores[:, labels.index(lead)] = 0.8
    faces = Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(n, 0.9), np.full((n, 5, 2), np.nan))
    rgb = np.full((height, width, 3), grey, np.uint8)
    return FrameResult(Frame(0, 0.0, rgb), faces, np.arange(1, n + 1), labels, scores, scores)


def rgb_of(label: str) -> tuple[int, ...]:
    return tuple(int(COLOURS[label][i : i + 2], 16) for i in (1, 3, 5))


def changed(before: FrameResult, after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((after != before.frame.rgb).any(axis=2))


def test_leaves_the_frame_alone_and_gives_a_new_picture_of_its_size() -> None:
    r = result(640, 360, [[200, 80, 320, 230]])
    out = annotate(r)
    assert (r.frame.rgb == 90).all()
    assert not r.frame.rgb.flags.writeable
    assert out.flags.writeable
    assert not np.shares_memory(out, r.frame.rgb)
    assert out.shape == (360, 640, 3)
    assert out.dtype == np.uint8


def test_nobody_changes_nothing() -> None:
    r = result(320, 240, [])
    assert not changed(r, annotate(r)).any()


@pytest.mark.parametrize("lead", FERPLUS)
def test_box_and_label_have_the_colour_of_the_leading_expression(lead: str) -> None:
    out = annotate(result(640, 360, [[200, 80, 320, 230]], lead=lead), bars=False)
    assert tuple(out[150, 200]) == rgb_of(lead)  # the left edge of the box
    label = out[40:80, 200:400].reshape(-1, 3)
    assert (label == rgb_of(lead)).all(axis=1).mean() > 0.2


def test_the_inside_of_the_face_stays_visible() -> None:
    r = result(640, 360, [[200, 80, 320, 230]])
    assert not changed(r, annotate(r))[90:220, 210:310].any()


def test_bars_are_as_long_as_the_scores_and_can_be_left_out() -> None:
    r = result(640, 360, [[200, 80, 320, 230]])
    with_bars, without = annotate(r), annotate(r, bars=False)
    right = (slice(80, 260), slice(330, 640))
    assert changed(r, with_bars)[right].any()
    assert not changed(r, without)[right].any()
    bright = np.array([v + round((255 - v) * 0.3) for v in rgb_of("happiness")])
    low = np.array([v + round((255 - v) * 0.3) for v in rgb_of("sadness")])

    def longest(colour: NDArray[np.int64]) -> int:
        return int((np.abs(with_bars[right].astype(int) - colour) <= 1).all(axis=2).sum(axis=1).max())

    assert longest(bright) > 10 * longest(low) > 0


@pytest.mark.parametrize(
    ("box", "quarter"),
    [([0, 0, 120, 150], "top left"), ([520, 0, 640, 150], "top right"), ([520, 210, 640, 360], "bottom right")],
)
def test_label_at_the_edge_stays_inside_whole(box: list[float], quarter: str) -> None:
    corner = annotate(result(640, 360, [box]), bars=False)
    middle = annotate(result(640, 360, [[260, 105, 380, 255]]), bars=False)

    def area(out: NDArray[np.uint8]) -> int:
        return int((out == rgb_of("happiness")).all(axis=2).sum())

    # Were the label cut by the edge or missing, much less of its colour would be left.
    assert area(corner) > 0.8 * area(middle), quarter


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    boxes = [[100, 100, 180, 200], [150, 100, 230, 200]]
    both = annotate(result(640, 360, boxes), bars=False)
    one = annotate(result(640, 360, boxes[:1]), bars=False)

    def area(out: NDArray[np.uint8]) -> int:
        return int((out == rgb_of("happiness")).all(axis=2).sum())

    assert area(both) > 1.8 * area(one)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (8, 8), (16, 12), (64, 48), (176, 144), (3840, 2160)])
def test_any_size(size: tuple[int, int]) -> None:
    width, height = size
    r = result(width, height, [[width * 0.3, height * 0.2, width * 0.6, height * 0.8]])
    out = annotate(r)
    assert out.shape == (height, width, 3)
    assert changed(r, out).any() == (min(size) >= 8)


def test_lines_and_text_grow_with_the_picture() -> None:
    small = annotate(result(320, 180, [[100, 60, 150, 120]]), bars=False)
    large = annotate(result(3200, 1800, [[1000, 600, 1500, 1200]]), bars=False)

    def share(out: NDArray[np.uint8]) -> float:
        return float((out != 90).any(axis=2).mean())

    assert share(large) > 0.25 * share(small)  # with lines and text of the same pixels it would be a tenth to a hundredth


@pytest.mark.parametrize(
    "box",
    [[-50, -60, 40, 50], [600, 300, 900, 700], [-1e9, -1e9, 1e9, 1e9], [50, 50, 50, 50], [700, 400, 800, 500], [np.nan, 0, 10, 10]],
)
def test_boxes_beyond_the_picture(box: list[float]) -> None:
    out = annotate(result(640, 360, [box]))
    assert out.shape == (360, 640, 3)


@pytest.mark.parametrize("labels", [EKMAN, FER2013, FERPLUS, ("happiness", "Überraschung")])
def test_label_sets(labels: tuple[str, ...]) -> None:
    r = result(640, 360, [[200, 80, 320, 230]], labels=labels)
    assert changed(r, annotate(r)).any()


def test_a_crowd() -> None:
    boxes = [[x, y, x + 30, y + 40] for x in range(0, 620, 40) for y in range(0, 340, 50)]
    r = result(640, 360, boxes)
    out = annotate(r)
    assert len(boxes) == 112
    assert all(tuple(out[int(y2) - 5, int(x1)]) != (90, 90, 90) for x1, _, _, y2 in boxes)  # the left edge of each box, or a label


def test_a_face_that_cannot_be_relied_on_is_grey_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = np.array([[20, 40, 120, 160], [200, 40, 300, 160]], np.float32)
    faces = Faces(boxes, np.ones(2, np.float32), np.full((2, 5, 2), np.nan, np.float32))
    scores = np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)
    words: list[str] = []
    put = cv2.putText
    monkeypatch.setattr(cv2, "putText", lambda rgb, text, *more: (words.append(text), put(rgb, text, *more))[1])
    frame = Frame(0, 0.0, np.zeros((240, 400, 3), np.uint8))
    judged = (np.array([0.9, 0.2], np.float32), np.array([0, 0b100], np.uint8))
    drawn = annotate(FrameResult(frame, faces, np.array([1, 2]), ("happiness", "sadness"), scores, scores, *judged))
    assert words == ["1 happiness 90%", "2 too dark"]
    red, green, blue = drawn[100, 200].astype(int)
    assert max(red, green, blue) - min(red, green, blue) < 20 < red
