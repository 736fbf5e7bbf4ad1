from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shapes import write_tables

from mien.emotion import Expressions
from mien.errors import DataError, ModelError
from mien.models import Bundle, load_model
from mien.training.data import load_faces
from mien.training.teachers import teacher_targets


def test_a_teacher_says_what_its_bundle_says_of_both_sides(bundle_folder: Path, data: Path) -> None:
    found = teacher_targets([str(bundle_folder)], data, ("ferplus", "fer2013"))
    bundle = load_model(bundle_folder)
    crops = load_faces(data, bundle.spec.crop, splits=("Training",)).crops
    for head in bundle.spec.heads:
        # its own temperature, but not the prior that its decisions were moved by
        model = Expressions(Bundle(replace(bundle.spec, heads=(replace(head, bias=()),)), bundle.session, bundle.folder))
        assert found[head.name].shape == (84, len(head.labels))
        assert found[head.name].dtype == np.float32
        assert np.allclose(found[head.name], (model(crops) + model(crops[:, :, ::-1])) / 2, atol=1e-5)


def test_several_teachers_are_averaged_and_may_be_softened(bundle_folder: Path, data: Path) -> None:
    one = teacher_targets([str(bundle_folder)], data, ("fer2013",))["fer2013"]
    two = teacher_targets([str(bundle_folder)] * 2, data, ("fer2013",))["fer2013"]
    soft = teacher_targets([str(bundle_folder)], data, ("fer2013",), temperature=4.0)["fer2013"]
    assert np.allclose(one, two, atol=1e-6)

    def entropy(p: np.ndarray) -> float:
        return float(-(p * np.log(p + 1e-9)).sum(axis=1).mean())

    assert entropy(soft) > 1.5 * entropy(one)


def test_a_head_that_no_teacher_has_is_left_out(bundle_folder: Path, data: Path) -> None:
    assert set(teacher_targets([str(bundle_folder)], data, ("ekman", "fer2013"))) == {"fer2013"}


def test_teachers_are_shown_the_layout_that_is_named(bundle_folder: Path, data: Path, tmp_path: Path) -> None:
    both = write_tables(tmp_path / "both")
    for name in ("data.json", "faces.csv"):  # by which a folder is found to be a prepared one
        (both / name).write_text("another's", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.json"):
        teacher_targets([str(bundle_folder)], both, ("fer2013",))
    found = teacher_targets([str(bundle_folder)], both, ("fer2013",), layout="fer2013")
    assert np.array_equal(found["fer2013"], teacher_targets([str(bundle_folder)], data, ("fer2013",))["fer2013"])


def test_a_teacher_that_is_not_there(data: Path) -> None:
    with pytest.raises(ModelError, match="no model 'professor'"):
        teacher_targets(["professor"], data, ("fer2013",))


def test_progress_is_told(bundle_folder: Path, data: Path) -> None:
    told: list[tuple[int, int]] = []
    teacher_targets([str(bundle_folder)], data, ("fer2013",), progress=lambda done, total: told.append((done, total)))
    assert told == [(64, 84), (84, 84)]
