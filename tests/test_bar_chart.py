"""The chart of a picture's faces: what is drawn how long, and that it does without Matplotlib."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mien import bar_chart

RED, BLUE = "#ff0000", "#0000ff"


def drawn(scores: list[list[float]], labels: list[str] = ["calm", "glad"]) -> np.ndarray:  # noqa: B006
    names = [f"Face {i}" for i in range(len(scores))]
    content = bar_chart.png("a.jpg", names, labels, np.array(scores, np.float32), [RED, BLUE])
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def lengths(picture: np.ndarray, colour: tuple[int, int, int]) -> list[int]:
    """The lengths of all bars of one colour, from the top."""
    found = (picture == colour).all(axis=2).sum(axis=1)
    rows = np.flatnonzero(found)
    first = rows[np.r_[True, np.diff(rows) > 1]] if len(rows) else rows
    return found[first].tolist()


def test_bars_are_as_long_as_the_probabilities() -> None:
    picture = drawn([[0.75, 0.25], [0.0, 1.0]])
    assert picture.shape[1] == bar_chart.WIDTH
    (calm,), (glad, whole) = lengths(picture, (255, 0, 0)), lengths(picture, (0, 0, 255))
    assert whole == pytest.approx(1703, abs=3)
    assert calm == pytest.approx(0.75 * whole, abs=3)
    assert glad == pytest.approx(0.25 * whole, abs=3)


def test_each_face_has_its_chart() -> None:
    heights = [len(drawn([[0.5, 0.5]] * n)) for n in (1, 2, 5)]
    assert heights[1] - heights[0] == (heights[2] - heights[1]) / 3 > 0


def test_long_words_make_room_for_themselves() -> None:
    (short,), (long,) = (lengths(drawn([[1.0, 0.0]], ["calm", word]), (255, 0, 0)) for word in ("glad", "glad beyond all measure"))
    assert long < short


def test_what_the_font_lacks_becomes_a_question_mark() -> None:
    one, other, plain = (drawn([[1.0, 0.0]], ["calm", word]) for word in ("Zoë 映\n$", "Zoë ??$", "Zoë $"))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, plain)


@pytest.mark.process
def test_no_matplotlib_is_imported() -> None:
    code = (
        "import sys, numpy; from mien import bar_chart; bar_chart.png('a', ['b'], ['c'], numpy.ones((1, 1)), ['#ff0000']);"
        "print('matplotlib' in sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert ran.stdout.strip() == "False"
