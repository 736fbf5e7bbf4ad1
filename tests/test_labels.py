"""Label sets, the maps between them, and valence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.labels import COLOURS, EKMAN, FER2013, FERPLUS, FERPLUS_COLUMNS, LABEL_SETS, NEGATIVE, canonical, convert, valence


def rows(labels: tuple[str, ...]) -> st.SearchStrategy[NDArray[np.float32]]:
    weights = st.lists(st.integers(0, 100), min_size=len(labels), max_size=len(labels)).filter(any)
    return st.lists(weights, max_size=5).map(
        lambda w: (a := np.array(w, np.float32).reshape(-1, len(labels))) / a.sum(axis=1, keepdims=True)
    )


sets = st.sampled_from([EKMAN, FER2013, FERPLUS])


# ---- the sets


def test_the_orders_of_the_data_sets() -> None:
    # FER2013's integers and FER+'s columns: models are trained in these orders, so they never change.
    assert FER2013 == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert FERPLUS == ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
    assert FERPLUS_COLUMNS[:8] == FERPLUS
    assert FERPLUS_COLUMNS[8:] == ("unknown", "NF")


def test_the_sets_hold_different_known_names_and_each_has_a_colour() -> None:
    for name, labels in LABEL_SETS.items():
        assert len(set(labels)) == len(labels), name
        assert set(labels) <= set(FERPLUS), name
    assert set(COLOURS) == set(FERPLUS)
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert set(NEGATIVE) < set(FERPLUS)


# ---- names


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("happy", "happiness"),
        (" Joy ", "happiness"),
        ("ANGRY", "anger"),
        ("Surprised", "surprise"),
        ("calm", "neutral"),
        ("sad", "sadness"),
    ],
)
def test_other_spellings(word: str, wanted: str) -> None:
    assert canonical(word) == wanted


@given(st.sampled_from(FERPLUS), st.sampled_from([str.upper, str.title, lambda s: f"\t{s} "]))
def test_canonical_names_stay_as_they_are_in_any_case(name: str, spell) -> None:
    assert canonical(name) == canonical(spell(name)) == canonical(canonical(name)) == name


@pytest.mark.parametrize("word", ["", "hangry", "NF", "unknown"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"no emotion .*; known: neutral, happiness"):
        canonical(word)


# ---- valence


@pytest.mark.parametrize(
    ("labels", "row", "wanted"),
    [
        (FERPLUS, [0, 1, 0, 0, 0, 0, 0, 0], 1),
        (FERPLUS, [1, 0, 0, 0, 0, 0, 0, 0], 0),
        (FERPLUS, [0, 0, 1, 0, 0, 0, 0, 0], 0),  # surprise is neither
        (FERPLUS, [0, 0, 0, 0, 0, 0, 0, 1], -1),
        (FERPLUS, [0, 0.4, 0, 0.3, 0.3, 0, 0, 0], 0.1),  # the largest of the negative ones, not their sum
        (FER2013, [0.5, 0, 0, 0.25, 0.25, 0, 0], -0.25),
        (("neutral", "happiness"), [0.4, 0.6], 0.6),
        (("neutral", "fear"), [0.4, 0.6], -0.6),
        (("neutral", "surprise"), [0.4, 0.6], 0),
    ],
)
def test_valence_of_known_rows(labels: tuple[str, ...], row: list[float], wanted: float) -> None:
    np.testing.assert_allclose(valence(np.array(row), labels), wanted, atol=1e-6)


@settings(deadline=None)
@given(st.data(), sets)
def test_valence_lies_between_minus_one_and_one_and_does_not_depend_on_the_order(
    data: st.DataObject, labels: tuple[str, ...]
) -> None:
    scores = data.draw(rows(labels))
    found = valence(scores, labels)
    assert (found.shape, found.dtype) == (scores.shape[:-1], np.float32)
    assert np.all(np.abs(found) <= 1)
    order = data.draw(st.permutations(range(len(labels))))
    np.testing.assert_array_equal(valence(scores[:, order], [labels[i] for i in order]), found)


@pytest.mark.parametrize("shape", [(8,), (0, 8), (3, 8), (2, 3, 8)])
def test_valence_has_the_leading_shape(shape: tuple[int, ...]) -> None:
    assert valence(np.full(shape, 1 / 8), FERPLUS).shape == shape[:-1]


# ---- convert


def test_contempt_is_divided_among_the_rest() -> None:
    row = np.array([0.4, 0.1, 0, 0, 0, 0, 0, 0.5])
    np.testing.assert_allclose(convert(row, FERPLUS, FER2013), [0, 0, 0, 0.2, 0, 0, 0.8], atol=1e-6)


def test_what_the_source_lacks_is_0() -> None:
    out = convert(np.full(6, 1 / 6), EKMAN, FERPLUS)
    assert out[FERPLUS.index("neutral")] == out[FERPLUS.index("contempt")] == 0
    np.testing.assert_allclose(out.sum(), 1, atol=1e-6)


def test_a_row_that_is_all_contempt_becomes_uniform_over_the_shared_labels() -> None:
    np.testing.assert_allclose(convert(np.eye(8)[[7]], FERPLUS, FER2013), np.full((1, 7), 1 / 7), atol=1e-6)
    out = convert(np.eye(8)[7], FERPLUS, ("happiness", "boredom", "fear"))
    np.testing.assert_allclose(out, [0.5, 0, 0.5])


def test_sets_without_a_common_label_are_refused() -> None:
    with pytest.raises(ValueError, match="no label of neutral, happiness is among fear"):
        convert(np.array([0.5, 0.5]), ("neutral", "happiness"), ("fear",))


@settings(deadline=None)
@given(st.data(), sets, sets)
def test_converted_rows_sum_to_1_and_keep_proportions(
    data: st.DataObject, source: tuple[str, ...], target: tuple[str, ...]
) -> None:
    scores = data.draw(rows(source))
    out = convert(scores, source, target)
    assert (out.shape, out.dtype) == ((len(scores), len(target)), np.float32)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-5)
    assert np.all(out >= 0)
    shared = [name for name in target if name in source]
    old = scores[:, [source.index(n) for n in shared]]
    new = out[:, [target.index(n) for n in shared]]
    kept = old.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(new * kept, old, atol=1e-5)


@settings(deadline=None)
@given(st.data(), sets)
def test_there_and_back_where_nothing_is_lost(data: st.DataObject, labels: tuple[str, ...]) -> None:
    scores = data.draw(rows(labels))
    np.testing.assert_allclose(convert(scores, labels, labels), scores, atol=1e-6)
    np.testing.assert_allclose(convert(convert(scores, labels, FERPLUS), FERPLUS, labels), scores, atol=1e-6)
