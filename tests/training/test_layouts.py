import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.crop import CropSpec
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS
from mien.training.data import load_faces
from mien.training.layouts import (
    COLUMNS,
    FACE_COLUMNS,
    LAYOUTS,
    SPLITS,
    Face,
    Listing,
    Row,
    find_layout,
    fingerprint,
    in_order,
    read_fer2013,
    read_layout,
    split_by_person,
    split_stratified,
    write_prepared,
)

KAGGLE = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
RNG = np.random.default_rng(0)


def picture(path: Path, label: int = 0, side: tuple[int, int] = (48, 48)) -> Path:
    """A picture of a shape, in another size if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = RNG.integers(60, 100, (48, 48)).astype(np.uint8)
    small[6 * label % 48 : 6 * label % 48 + 6] = 220
    assert cv2.imwrite(str(path), cv2.resize(small, side[::-1]))
    return path


def class_folders(root: Path, classes: Sequence[str], count: int, stem: str = "im") -> Path:
    for i, name in enumerate(classes):
        for k in range(count):
            picture(root / name / f"{stem}{k}.png", i)
    return root


def splits_of(listing: Listing) -> dict[str, int]:
    return dict(Counter(row.split for row in listing.rows))


def fails(folder: Path, layout: str = "auto") -> str:
    with pytest.raises(DataError) as raised:
        read_layout(folder, layout)
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)
    return str(raised.value)


# --- dividing


def test_a_stratified_draw_keeps_the_shares_of_each_class() -> None:
    labels = ["happiness"] * 100 + ["fear"] * 20 + ["contempt"]
    split = np.array(split_stratified(labels, (0.8, 0.1, 0.1), seed=3))
    for name, wanted in (("happiness", (80, 10, 10)), ("fear", (16, 2, 2)), ("contempt", (1, 0, 0))):
        assert [int(((np.array(labels) == name) & (split == s)).sum()) for s in SPLITS] == list(wanted)
    assert split_stratified(labels, (0.8, 0.1, 0.1), seed=3) == split.tolist()
    assert split_stratified(labels, (0.8, 0.1, 0.1), seed=4) != split.tolist()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.6, -0.1), (1, 1, 1), (0.3, 0.3, 0.3)])
def test_shares_that_are_none(shares: tuple[float, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted three shares of 0 or more that sum to 1"):
        split_stratified(["fear"], shares, 0)
    with pytest.raises(ValueError, match="wanted three shares"):
        read_layout(tmp_path, shares=shares)  # type: ignore[arg-type]


def test_nobody_stands_in_two_splits_and_classes_come_near_to_the_shares() -> None:
    rng = np.random.default_rng(0)
    persons = np.repeat([f"S{i:03}" for i in range(40)], 12)
    labels = rng.choice(FERPLUS, len(persons), p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.08, 0.07, 0.05])
    split = np.array(split_by_person(persons.tolist(), labels.tolist(), (0.8, 0.1, 0.1), 0))
    for person in set(persons):
        assert len(set(split[persons == person])) == 1
    assert [len(set(persons[split == s])) for s in SPLITS] == [32, 4, 4]
    for name in FERPLUS:  # every class is in every split
        assert {s for s in SPLITS if ((labels == name) & (split == s)).any()} == set(SPLITS)
    assert split_by_person(persons.tolist(), labels.tolist(), (0.8, 0.1, 0.1), 0) == split.tolist()
    order = rng.permutation(len(persons))  # who is where does not hang on the order of the files
    assert split_by_person(persons[order].tolist(), labels[order].tolist(), (0.8, 0.1, 0.1), 0) == split[order].tolist()


def test_a_few_persons_still_fill_every_split() -> None:
    split = split_by_person(["A", "B", "C", "C"], ["fear"] * 4, (0.9, 0.05, 0.05), 0)
    assert sorted({*split}) == sorted(SPLITS)
    with pytest.raises(
        DataError, match="wanted at least 3 persons for Training, PublicTest, PrivateTest, but got A, B; give other"
    ):
        split_by_person(["A", "B"], ["fear"] * 2, (0.8, 0.1, 0.1), 0)
    assert set(split_by_person(["A", "B"], ["fear"] * 2, (0.0, 0.0, 1.0), 0)) == {"PrivateTest"}


def test_names_stand_in_the_order_of_a_label_set() -> None:
    assert in_order(["surprise", "anger"]) == ("anger", "surprise")
    assert in_order(reversed(FER2013)) == FER2013
    assert in_order(["contempt", "anger", "neutral"]) == ("neutral", "anger", "contempt")


# --- tables


def test_fer2013s_tables(data: Path) -> None:
    listing = read_layout(data)
    assert (listing.layout, listing.names, len(listing)) == ("fer2013", FER2013, 168)
    pictures, labels, splits = read_fer2013(data / "fer2013.csv")
    assert listing.labels.tolist() == labels.tolist()
    assert listing.column("split").tolist() == splits.tolist()
    assert all(np.array_equal(row.read(), p) for row, p in zip(listing.rows, pictures, strict=True))
    assert listing.votes.sum(axis=1).tolist() == [10] * 168
    assert listing.rows[7].source == "fer2013.csv, row 9"


def test_problems_of_a_table_are_counted_and_can_be_left_out(tmp_path: Path, data: Path) -> None:
    with (data / "fer2013.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    rows[3][0], rows[5][1], rows[8][2] = "9", "1 2 3", "Testing"
    with (tmp_path / "fer2013.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    said = fails(tmp_path)
    assert "fer2013.csv, row 4: wanted an emotion from 0 to 6, but got 9; that is the first of 3 problems" in said
    problems: list[str] = []
    listing = read_layout(tmp_path, problems=problems)
    assert len(listing) == 165
    assert [p.split(", row ")[1].split(":")[0] for p in problems] == ["4", "6", "9"]
    assert listing.rows[2].source == "fer2013.csv, row 5"
    votes = (data / "fer2013new.csv").read_text().splitlines()
    votes[8] = votes[8].replace("PrivateTest", "Testing").replace("Training", "Testing")
    votes[1] = votes[1][:-1] + "x"
    (tmp_path / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    problems.clear()
    listing = read_layout(tmp_path, problems=problems)  # rows still belong together
    assert (len(listing), len(problems)) == (164, 4)
    assert listing.rows[0].source == "fer2013.csv, row 3"


def test_an_empty_class_of_a_table(tmp_path: Path, data: Path) -> None:
    lines = (data / "fer2013.csv").read_text().splitlines()
    (tmp_path / "fer2013.csv").write_text("\n".join(line for line in lines if not line.startswith("1,")))
    assert "fer2013.csv: the class disgust is empty: wanted at least one among 144 pictures" in fails(tmp_path)


def ferplus_folders(root: Path) -> Path:
    for folder, count in (("FER2013Train", 16), ("FER2013Valid", 8), ("FER2013Test", 8)):
        lines = []
        for i in range(count):
            picture(root / folder / f"fer{i:07}.png", i)
            votes = [0] * 10
            votes[i % 8], votes[8] = 9, 1
            lines.append(f'fer{i:07}.png,"(0, 0, 48, 48)",{",".join(map(str, votes))}')
        (root / folder / "label.csv").write_text("\n".join(lines) + "\n")
    return root


def test_ferplus_folders(tmp_path: Path) -> None:
    listing = read_layout(ferplus_folders(tmp_path))
    assert (listing.layout, listing.names) == ("ferplus-folders", FERPLUS)
    assert splits_of(listing) == {"Training": 16, "PublicTest": 8, "PrivateTest": 8}
    assert listing.labels[:8].tolist() == list(range(8))
    assert listing.votes[3].tolist() == [0, 0, 0, 9, 0, 0, 0, 0, 1, 0]
    assert listing.rows[0].read().shape == (48, 48, 3)
    assert listing.rows[0].source == "FER2013Train/fer0000000.png"
    faces = load_faces(tmp_path, CropSpec(size=32, detail=0), align=False)
    assert faces.truth("ferplus").tolist() == listing.labels.tolist()
    assert faces.truth("fer2013")[7] == -1  # contempt


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('fer0000000.png,"(0, 0, 48, 48)",1,2,3', r'row 2: wanted a name, a box "\(0, 0, 48, 48\)" and ten votes'),
        ("fer0000000.png,0 0 48 48" + ",1" * 10, "row 2: wanted a name, a box"),
        ('fer0000000.png,"(0, 0, 48, 48)"' + ",x" * 10, "row 2: cannot be read"),
        ('nobody.png,"(0, 0, 48, 48)"' + ",1" * 10, r"row 2: there is no picture nobody\.png beside it"),
    ],
)
def test_errors_of_ferplus_folders(tmp_path: Path, line: str, says: str) -> None:
    table = ferplus_folders(tmp_path) / "FER2013Valid" / "label.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(DataError, match=r"FER2013Valid/label\.csv, " + says):
        read_layout(tmp_path)


def test_the_box_of_ferplus_is_cut_out(tmp_path: Path) -> None:
    ferplus_folders(tmp_path)
    table = tmp_path / "FER2013Train" / "label.csv"
    table.write_text(
        table.read_text().replace("(0, 0, 48, 48)", "(8, 4, 40, 44)", 1).replace("(0, 0, 48, 48)", "(0, 0, 49, 48)", 1)
    )
    listing = read_layout(tmp_path)
    assert listing.rows[0].read().shape == (40, 32, 3)
    with pytest.raises(DataError, match=r"fer0000001\.png: its box \(0, 0, 49, 48\) does not lie in its 48 × 48 pixels"):
        listing.rows[1].read()


# --- class folders


def test_train_and_test_as_kaggle_has_them(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", KAGGLE, 20)
    class_folders(tmp_path / "test", KAGGLE, 5)
    listing = read_layout(tmp_path)
    assert (listing.layout, listing.names) == ("folders", FER2013)
    assert splits_of(listing) == {"Training": 126, "PublicTest": 14, "PrivateTest": 35}
    assert any("PublicTest is 10 % of train, drawn per class with seed 0" in note for note in listing.notes)
    assert Counter(row.label for row in listing.rows if row.split == "PublicTest") == dict.fromkeys(FER2013, 2)
    assert read_layout(tmp_path, seed=1).column("split").tolist() != listing.column("split").tolist()
    assert {row.split for row in listing.rows if row.source.startswith("test/")} == {"PrivateTest"}


def test_files_that_say_their_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", KAGGLE, 3, "Training_")
    class_folders(tmp_path / "test", KAGGLE, 2, "PublicTest_")
    class_folders(tmp_path / "test", KAGGLE, 1, "PrivateTest_")
    listing = read_layout(tmp_path)
    assert splits_of(listing) == {"Training": 21, "PublicTest": 14, "PrivateTest": 7}
    assert all(row.split in row.source for row in listing.rows)


@pytest.mark.parametrize("word", ["val", "Validation", "valid"])
def test_a_validation_folder_is_taken(tmp_path: Path, word: str) -> None:
    for name, count in (("Train", 3), (word, 2), ("Test", 1)):
        class_folders(tmp_path / name, KAGGLE[:3], count)
    assert splits_of(read_layout(tmp_path)) == {"Training": 9, "PublicTest": 6, "PrivateTest": 3}


def test_class_folders_alone(tmp_path: Path) -> None:
    class_folders(tmp_path, ("Happy", "Sad", "NEUTRAL"), 20)
    listing = read_layout(tmp_path)
    assert (listing.layout, listing.names) == ("folders", ("happiness", "sadness", "neutral"))
    assert splits_of(listing) == {"Training": 48, "PublicTest": 6, "PrivateTest": 6}
    assert splits_of(read_layout(tmp_path, shares=(0.5, 0.0, 0.5))) == {"Training": 30, "PrivateTest": 30}
    faces = load_faces(tmp_path, CropSpec(size=16, detail=0), align=False, shares=(0.0, 0.0, 1.0))
    assert (len(faces), set(faces.split)) == (60, {"PrivateTest"})
    assert faces.truth("fer2013").tolist() == [3] * 20 + [6] * 20 + [4] * 20  # Happy, NEUTRAL, Sad


def test_pictures_of_any_size_and_colour(tmp_path: Path) -> None:
    rgb = np.zeros((60, 90, 3), np.uint8)
    rgb[..., 0] = 200
    cv2.imwrite(str(picture(tmp_path / "fear" / "red.png")), rgb[..., ::-1])
    picture(tmp_path / "fear" / "grey.jpg", side=(300, 200))
    picture(tmp_path / "anger" / "tiny.bmp", side=(7, 5))
    crops = load_faces(tmp_path, CropSpec(size=24, colour="rgb")).crops
    assert crops.shape == (3, 24, 24, 3)
    assert (crops[2] == [200, 0, 0]).all()
    assert np.ptp(crops[1].astype(int), axis=2).max() <= 3  # grey, give or take JPEG
    assert load_faces(tmp_path, CropSpec(size=24)).crops.shape == (3, 24, 24)


def test_what_lies_about_is_told(tmp_path: Path) -> None:
    class_folders(tmp_path, ("fear", "anger"), 3)
    (tmp_path / "fear" / ".DS_Store").touch()
    (tmp_path / "anger" / "Thumbs.db").touch()
    (tmp_path / "README.txt").touch()
    listing = read_layout(tmp_path)
    assert len(listing) == 6
    assert listing.notes[:2] == ("anger/Thumbs.db is no picture and left out", "fear/.DS_Store is no picture and left out")


def test_errors_of_class_folders_are_collected(tmp_path: Path) -> None:
    class_folders(tmp_path, ("fear", "anger"), 3)
    (tmp_path / "happyness").mkdir()
    (tmp_path / "sad").mkdir()
    (tmp_path / "fear" / "notes.txt").touch()
    (tmp_path / "fear" / "more").mkdir()
    (tmp_path / "labels.csv").touch()
    said = fails(tmp_path)
    assert f"{tmp_path}/fear/more: is a folder; wanted pictures only; that is the first of 5 problems" in said
    problems: list[str] = []
    assert len(read_layout(tmp_path, problems=problems)) == 6
    told = "\n".join(problems)
    assert "happyness: is 'happyness' meant to be 'happiness'?" in told
    assert "sad: the class is empty: wanted pictures in it" in told
    assert "notes.txt: is no picture; wanted .bmp" in told
    assert "labels.csv: lies beside the class folders" in told


def test_a_folder_beside_train_and_test(tmp_path: Path) -> None:
    for name in ("train", "test"):
        class_folders(tmp_path / name, KAGGLE[:2], 2)
    class_folders(tmp_path / "extra", KAGGLE[:2], 2)
    assert "extra: stands beside test, train; wanted a name such as train, validation, test" in fails(tmp_path)


def test_a_split_without_classes(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", KAGGLE[:2], 2)
    (tmp_path / "test").mkdir()
    assert "test: wanted a folder for each class in it" in fails(tmp_path)


def test_unreadable_pictures_are_named_and_counted(tmp_path: Path) -> None:
    class_folders(tmp_path, ("fear", "anger"), 3)
    (tmp_path / "fear" / "im0.png").write_bytes(b"no picture")
    (tmp_path / "fear" / "im2.png").write_bytes((tmp_path / "fear" / "im1.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"fear/im0\.png: .*--skip-bad .*that is the first of 2 problems") as raised:
        load_faces(tmp_path, CropSpec(size=16))
    assert "\n" not in str(raised.value)


# --- data sets known by their names


def test_ckplus48_is_divided_by_person(tmp_path: Path) -> None:
    for person in range(12):
        for i, name in enumerate(("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")):
            if name == "contempt" and person % 2:
                continue
            for frame in range(3):
                picture(tmp_path / name / f"S{person:03}_{i:03}_{frame:08}.png", i)
    listing = read_layout(tmp_path)
    assert listing.layout == "ckplus48"
    assert listing.names == ("happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
    who = {split: {row.person for row in listing.rows if row.split == split} for split in SPLITS}
    assert [len(who[s]) for s in SPLITS] == [10, 1, 1]
    assert not who["Training"] & who["PublicTest"] | who["Training"] & who["PrivateTest"] | who["PublicTest"] & who["PrivateTest"]
    assert "S000" in set().union(*who.values())
    assert any("divided by person: Training 80 %" in note for note in listing.notes)
    for row in listing.rows:
        assert row.person in row.source
    picture(tmp_path / "fear" / "face.png")
    assert "fear/face.png: wanted a name such as S010_004_00000017.png" in fails(tmp_path, "ckplus48")


def test_jaffe(tmp_path: Path) -> None:
    for person in ("KA", "KL", "YM", "NM"):
        for i, code in enumerate(("AN", "DI", "FE", "HA", "SA", "SU", "NE")):
            picture(tmp_path / f"{person}.{code}1.{i + 39}.tiff", i, (256, 256))
    (tmp_path / "README").write_text("about")
    listing = read_layout(tmp_path)
    assert (listing.layout, listing.names, len(listing)) == ("jaffe", FER2013, 28)
    assert {row.person for row in listing.rows} == {"KA", "KL", "YM", "NM"}
    assert next(row.label for row in listing.rows if row.source == "KA.AN1.39.tiff") == "anger"
    assert splits_of(listing) == {"Training": 14, "PublicTest": 7, "PrivateTest": 7}
    assert listing.rows[0].read().shape == (256, 256, 3)
    picture(tmp_path / "KA.XX1.99.tiff")
    assert "KA.XX1.99.tiff: wanted a label among AN, DI, FE, HA, NE, SA, SU, but got 'XX'" in fails(tmp_path)
    (tmp_path / "KA.XX1.99.tiff").unlink()
    for path in tmp_path.glob("*.DI*"):
        path.unlink()
    assert "the class disgust is empty" in fails(tmp_path)


@pytest.mark.parametrize("place", ["", "Image/"])
def test_rafdb(tmp_path: Path, place: str) -> None:
    lines = []
    for split, count in (("train", 70), ("test", 14)):
        for i in range(count):
            picture(tmp_path / f"{place}aligned" / f"{split}_{i + 1:05}_aligned.jpg", i, (100, 100))
            lines.append(f"{split}_{i + 1:05}.jpg {i % 7 + 1}")
    table = tmp_path / ("EmoLabel" if place else "") / "list_patition_label.txt"
    table.parent.mkdir(exist_ok=True)
    table.write_text("\n".join(lines) + "\n")
    listing = read_layout(tmp_path)
    assert (listing.layout, listing.names) == ("rafdb", FER2013)
    assert [row.label for row in listing.rows[:7]] == ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert splits_of(listing) == {"Training": 63, "PublicTest": 7, "PrivateTest": 14}
    assert any("PublicTest is 10 % of train" in note for note in listing.notes)
    table.write_text("\n".join([*lines[:2], "train_00003.jpg 8", "train_00004.jpg", "train_99999.jpg 1", *lines[5:]]))
    said = fails(tmp_path)
    assert "list_patition_label.txt, row 3: wanted a label among 1, 2, 3, 4, 5, 6, 7, but got '8'" in said
    assert "that is the first of 3 problems" in said
    problems: list[str] = []
    assert len(read_layout(tmp_path, problems=problems)) == 81
    assert "row 4: wanted a name and a label, as train_00001.jpg 5, but got 'train_00004.jpg'" in problems[1]
    assert "row 5: there is no picture" in problems[2]


# --- prepared


def prepared(root: Path, rows: Iterable[tuple[str, Row]], names: Sequence[str]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    write_prepared(root / "faces.csv", rows)
    facts = {"format": 1, "names": list(names), "notes": ["from somewhere"]}
    (root / "data.json").write_text(json.dumps(facts))
    return root


def row(root: Path, name: str, label: str, split: str, person: str = "", face: Face | None = None) -> tuple[str, Row]:
    picture(root / name)
    return name, Row(lambda: np.zeros((48, 48), np.uint8), label, split, person, name, (), face, "a.mp4", 1.25)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    face = Face(np.array([1, 2, 40, 44], np.float32), np.arange(10, dtype=np.float32).reshape(5, 2) + 0.25)
    blind = Face(face.box, np.full((5, 2), np.nan, np.float32))
    rows = [
        row(tmp_path, "pictures/a.png", "fear", "Training", "p1", face),
        row(tmp_path, "pictures/b.png", "anger", "PublicTest", "p2", blind),
        row(tmp_path, "pictures/c.png", "", "PrivateTest", "p3"),
    ]
    listing = read_layout(prepared(tmp_path, rows, ("anger", "fear")))
    assert (listing.layout, listing.names, listing.notes) == ("prepared", ("anger", "fear"), ("from somewhere",))
    assert listing.labels.tolist() == [1, 0, -1]
    first, second, third = listing.rows
    assert (first.split, first.person, first.video, first.time_s) == ("Training", "p1", "a.mp4", 1.25)
    assert first.face is not None
    assert second.face is not None
    assert np.array_equal(first.face.landmarks, face.landmarks)
    assert np.array_equal(first.face.box, face.box)
    assert np.isnan(second.face.landmarks).all()
    assert third.face is None
    assert not listing.votes.any()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("fear,Training", "joy,Training"), "faces.csv, row 2: wanted a label among anger, fear, but got 'joy'"),
        (("fear,Training", "fear,Train"), "faces.csv, row 2: wanted a split among Training"),
        (("b.png", "z.png"), "faces.csv, row 3: there is no picture pictures/z.png"),
        (("p2", "p1"), "person p1 stands in Training (pictures/a.png) and in PublicTest (pictures/b.png)"),
        (("file,label", "file,emotion"), "faces.csv: wanted the columns file, label, split"),
        (("anger", "fear"), "faces.csv: the class anger is empty"),
        (("1.250", "soon"), "faces.csv, row 2: could not convert"),
    ],
)
def test_errors_of_what_was_prepared(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    rows = [row(tmp_path, "pictures/a.png", "fear", "Training", "p1"), row(tmp_path, "pictures/b.png", "anger", "PublicTest", "p2")]
    table = prepared(tmp_path, rows, ("anger", "fear")) / "faces.csv"
    text = table.read_text()
    assert change[0] in text
    table.write_text(text.replace(*change))
    assert says in fails(tmp_path)


def test_facts_of_another_kind(tmp_path: Path) -> None:
    prepared(tmp_path, [row(tmp_path, "a.png", "fear", "Training")], ("fear",))
    (tmp_path / "data.json").write_text('{"format": 2, "names": []}')
    assert "wanted format 1, but got 2" in fails(tmp_path)
    (tmp_path / "data.json").write_text("[]")
    assert "data.json: wanted what mien data prepare writes" in fails(tmp_path)


def test_a_known_face_frames_its_crop(tmp_path: Path) -> None:
    """The crop of a prepared picture is that of the frame it was cut out of, whatever is around the face."""
    big = np.zeros((200, 200), np.uint8)
    big[60:140, 70:130] = 255
    cv2.imwrite(str(tmp_path / "a.png"), big)
    face = Face(np.array([70, 60, 130, 140], np.float32), np.full((5, 2), np.nan, np.float32))
    rows = [("a.png", Row(lambda: big, "fear", "Training", "", "a.png", (), face))]
    faces = load_faces(prepared(tmp_path, rows, ("fear",)), CropSpec(size=100, detail=0))
    assert not faces.aligned.any()
    bright = np.flatnonzero(faces.crops[0].max(axis=1) > 128)
    assert (bright[0], bright[-1]) == (2, 99)  # the box lies where crop.TEMPLATE_BOX says
    assert COLUMNS[0] == "file"
    assert len(FACE_COLUMNS) == 14


# --- which one it is


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert "but found none of them" in fails(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        find_layout(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=f"no layout 'imagenet'; known: {', '.join(LAYOUTS)}"):
        read_layout(tmp_path, "imagenet")
    for layout in LAYOUTS[1:]:
        with pytest.raises(DataError):
            read_layout(tmp_path, layout)


def test_the_fingerprint_changes_with_every_file(tmp_path: Path) -> None:
    class_folders(tmp_path, ("fear", "anger"), 2)
    seen = {fingerprint(tmp_path, "folders")}
    assert fingerprint(tmp_path, "folders") in seen
    picture(tmp_path / "fear" / "im2.png")
    seen.add(fingerprint(tmp_path, "folders"))
    (tmp_path / "fear" / "im2.png").rename(tmp_path / "anger" / "im2.png")
    seen.add(fingerprint(tmp_path, "folders"))
    (tmp_path / "anger" / "im2.png").write_bytes(b"")
    seen.add(fingerprint(tmp_path, "folders"))
    assert len(seen) == 4


def test_faces_of_a_changed_folder_are_read_anew(tmp_path: Path) -> None:
    class_folders(tmp_path, ("fear", "anger"), 10)
    spec = CropSpec(size=16)
    assert len(load_faces(tmp_path, spec)) == 20
    picture(tmp_path / "fear" / "new.png")
    assert len(load_faces(tmp_path, spec)) == 21
    one, other = (load_faces(tmp_path, spec, seed=seed).split.tolist() for seed in (0, 1))
    assert one != other
