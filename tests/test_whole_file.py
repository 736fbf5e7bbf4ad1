"""A file that is whole or not there."""

from pathlib import Path

import pytest

from mien.whole_file import part_of, whole_file


def test_the_name_is_given_at_the_end_and_in_place_of_the_older_file(tmp_path: Path) -> None:
    target = tmp_path / "faces.csv"
    target.write_text("old")
    with whole_file(target) as part:
        part.write_text("new")
        assert part.parent == tmp_path  # on another disk a renaming would be a copy
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_ends_it_sooner_leaves_the_older_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "faces.csv"
    target.write_text("old")
    with pytest.raises(type(error)), whole_file(target) as part:
        part.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "faces.csv"
    with pytest.raises(FileNotFoundError), whole_file(target):
        pass
    assert not target.exists()


def test_what_cannot_be_renamed_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "faces.csv"
    target.mkdir()
    with pytest.raises(IsADirectoryError), whole_file(target) as part:
        part.write_text("new")
    assert list(tmp_path.iterdir()) == [target]


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "faces.csv"
    with whole_file(target) as one:
        one.write_text("one")
        with whole_file(target) as other:
            other.write_text("other")
    assert target.read_text() == "one"
    assert part_of(target) != part_of(target)
