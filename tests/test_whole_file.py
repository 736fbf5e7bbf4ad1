"""A file that is whole or not there."""

from pathlib import Path

import pytest

from mien.whole_file import new_folder, part_of, whole_file


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


@pytest.mark.parametrize("there", [False, True])
def test_a_new_folder_comes_at_the_end_also_where_an_empty_one_is(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "a" / "model"
    if there:
        target.mkdir(parents=True)
    with new_folder(target) as folder:
        assert folder.name == "model"
        (folder / "model.json").write_text("{}")
        assert not target.exists() or not list(target.iterdir())
    assert [path.name for path in target.iterdir()] == ["model.json"]
    assert list(target.parent.iterdir()) == [target]


def test_what_ends_a_new_folder_sooner_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "model") as folder:
        (folder / "model.json").write_text("{}")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_replaces_nobodys_files(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(OSError, match="not empty"), new_folder(target) as folder:
        (folder / "model.json").write_text("{}")
    assert [path.name for path in target.iterdir()] == ["mine"]
    assert list(tmp_path.iterdir()) == [target]
