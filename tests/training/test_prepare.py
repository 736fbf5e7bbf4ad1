import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from media_files import film, sound_only
from mien.crop import CropSpec, crop_faces
from mien.detect import YuNet
from mien.errors import DataError
from mien.media import open_media, read_picture
from mien.training.data import load_faces
from mien.training.layouts import SPLITS, read_layout
from mien.training.prepare import MAX_SIDE, REGION, VIDEO_LAYOUTS, cut_out, find_clips, prepare

SIZE = (160, 120)


def shot(portrait: np.ndarray, side: int = 100, left: int = 20, top: int = 10, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A frame with a portrait in it."""
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    height, width = portrait.shape[:2]
    small = cv2.resize(portrait, (round(width * side / height), side), interpolation=cv2.INTER_AREA)
    part = small[: size[1] - top, : size[0] - left]
    frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    return frame


def clip(path: Path, portrait: np.ndarray | None, *, frames: int = 20, empty: int = 0) -> Path:
    """A film of a second of a portrait that drifts to the right; its last `empty` frames show nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def drawn(i: int) -> np.ndarray:
        nobody = portrait is None or i >= frames - empty
        return np.full((SIZE[1], SIZE[0], 3), 90, np.uint8) if nobody else shot(portrait, left=20 + i // 2)

    codec = {".flv": "flv", ".avi": "mpeg4"}.get(path.suffix, "libx264")
    return film(path, times=[i / 20 for i in range(frames)], pictures=drawn, codec=codec, size=SIZE, rate=20)


@pytest.fixture(scope="module")
def portraits(astronaut: Path, hopper: Path) -> list[np.ndarray]:
    return [read_picture(astronaut).rgb, read_picture(hopper).rgb]


@pytest.fixture(scope="module")
def enterface(tmp_path_factory: pytest.TempPathFactory, portraits: list[np.ndarray]) -> Path:
    """Four subjects, two emotions each, in the folders of the data set."""
    root = tmp_path_factory.mktemp("enterface")
    for person in range(1, 5):
        for code, word in (("ha", "happiness"), ("su", "surprise")):
            clip(
                root / f"subject {person}" / word / f"s{person}_{code}_1.avi", portraits[person % 2], empty=5 if person == 1 else 0
            )
    return root


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- names


@pytest.mark.parametrize(
    ("layout", "stem", "label", "person"),
    [
        ("enterface", "s1_an_1", "anger", "1"),
        ("enterface", "s43_DI_5", "disgust", "43"),
        ("enterface", "s12_fe_2", "fear", "12"),
        ("enterface", "s12_ha_2", "happiness", "12"),
        ("enterface", "s12_sa_2", "sadness", "12"),
        ("enterface", "s12_su_2", "surprise", "12"),
        ("ravdess", "02-01-05-01-02-01-12", "anger", "12"),
        ("ravdess", "01-01-01-01-02-01-07", "neutral", "07"),
        ("ravdess", "01-02-02-01-02-01-07", "neutral", "07"),
        ("ravdess", "01-01-03-01-02-01-07", "happiness", "07"),
        ("ravdess", "01-01-04-01-02-01-07", "sadness", "07"),
        ("ravdess", "01-01-06-01-02-01-07", "fear", "07"),
        ("ravdess", "01-01-07-01-02-01-07", "disgust", "07"),
        ("ravdess", "01-01-08-01-02-01-07", "surprise", "07"),
        ("crema-d", "1001_DFA_ANG_XX", "anger", "1001"),
        ("crema-d", "1040_ITH_SAD_X", "sadness", "1040"),
        ("crema-d", "1091_IEO_NEU_HI", "neutral", "1091"),
    ],
)
def test_names_say_label_and_person(layout: str, stem: str, label: str, person: str) -> None:
    assert VIDEO_LAYOUTS[layout].read(stem) == (label, person)


@pytest.mark.parametrize(
    ("layout", "stem", "says"),
    [
        ("enterface", "holiday", r"wanted a name such as s1_an_1\.avi"),
        ("enterface", "s1_xx_1", "wanted an emotion among an, di, fe, ha, sa, su in its name, but got 'xx'"),
        ("ravdess", "01-01-09-01-02-01-07", "wanted an emotion among 01, 02, .* but got '09'"),
        ("ravdess", "01-01-09", "wanted a name such as 02-01-05"),
        ("crema-d", "1001_DFA_JOY_XX", "wanted an emotion among ANG, .* but got 'JOY'"),
    ],
)
def test_names_that_say_nothing(layout: str, stem: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        VIDEO_LAYOUTS[layout].read(stem)


def test_films_of_no_rule(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(DataError, match=r"wanted films named as s1_an_1\.avi, .* but there is none"):
        find_clips(tmp_path)


def test_ravdess_films_with_a_picture_once_each(tmp_path: Path) -> None:
    for name in ("01-01-05-01-01-01-01.mp4", "02-01-05-01-01-01-01.mp4", "02-01-03-01-01-01-02.mp4", "03-01-05-01-01-01-01.mp4"):
        (tmp_path / "Actor").mkdir(exist_ok=True)
        (tmp_path / "Actor" / name).touch()
    layout, clips, problems, notes = find_clips(tmp_path)
    assert (layout, problems) == ("ravdess", [])
    assert [(c.source, c.label, c.person) for c in clips] == [
        ("Actor/01-01-05-01-01-01-01.mp4", "anger", "01"),
        ("Actor/02-01-03-01-01-01-02.mp4", "happiness", "02"),
    ]
    assert notes == ["files with sound only, left out: 1", "films that show the same take a second time, left out: 1"]


def test_a_folder_of_neither(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted fer2013\.csv .* found none of them, nor films named as s1_an_1\.avi"):
        prepare(tmp_path, tmp_path / "out")
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(DataError, match=r"holiday\.mp4: wanted a name such as 1001_DFA"):
        prepare(tmp_path, tmp_path / "out", layout="crema-d")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="there is no film"):
        prepare(tmp_path / "none", tmp_path / "out", layout="crema-d")
    with pytest.raises(DataError, match="is no folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out")
    for wrong in ({"layout": "imagenet"}, {"every_s": -1.0}, {"frames": 0}, {"shares": (1.0, 1.0, 1.0)}):
        with pytest.raises(ValueError, match=r"no layout|wanted"):
            prepare(tmp_path, tmp_path / "out", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# --- films


def test_films_become_faces_divided_by_person(tmp_path: Path, enterface: Path) -> None:
    told: list[tuple[int, int]] = []
    facts = prepare(enterface, tmp_path / "out", every_s=0.25, shares=(0.5, 0.25, 0.25), progress=lambda *a: told.append(a))
    assert told == [(i, 8) for i in range(1, 9)]
    assert facts["layout"] == "enterface"
    assert facts["names"] == ["happiness", "surprise"]
    # A second at 20 frames a second: looks at 0, .25, .5 and .75 s; of the first subject nobody is there in the last.
    assert facts["videos"] == {"found": 8, "with_faces": 8, "failed": 0, "looks": 32, "without_face": 2}
    assert facts["pictures"] == 30
    assert [len(facts["persons"][s]) for s in SPLITS] == [2, 1, 1]
    assert json.loads((tmp_path / "out" / "data.json").read_text()) == facts
    rows = table(tmp_path / "out" / "faces.csv")
    assert len(rows) == 30
    assert rows[1]["video"] == "subject 1/happiness/s1_ha_1.avi"
    assert float(rows[1]["time_s"]) == pytest.approx(0.25, abs=0.01)
    assert [row["time_s"] for row in table(tmp_path / "out" / "without_face.csv")] == ["0.750", "0.750"]
    assert not (tmp_path / "out" / "problems.csv").exists()
    listing = read_layout(tmp_path / "out")
    assert (listing.layout, listing.names) == ("prepared", ("happiness", "surprise"))
    for person in "1234":
        assert len({row.split for row in listing.rows if row.person == person}) == 1
    faces = load_faces(tmp_path / "out", CropSpec(size=64))
    assert faces.aligned.all()
    assert Counter(faces.split.tolist())["Training"] == sum(facts["counts"]["Training"].values())


def test_faces_are_framed_as_in_use(tmp_path: Path, enterface: Path) -> None:
    """What a network learns from a film's frame is what `mien analyze` would show it of that frame."""
    prepare(enterface, tmp_path / "out", shares=(0.5, 0.25, 0.25))
    rows = table(tmp_path / "out" / "faces.csv")
    for spec in (CropSpec(size=64), CropSpec(size=48, rotate=False), CropSpec(size=64, detail=0, colour="rgb")):
        faces = load_faces(tmp_path / "out", spec)
        for row, crop in list(zip(rows, faces.crops, strict=True))[::3]:
            with open_media(enterface / row["video"]) as media:
                frame = next(f for f in media.frames() if abs(f.time_s - float(row["time_s"])) < 1e-3)
            wanted = crop_faces(frame.rgb, YuNet()(frame.rgb)[[0]], spec)[0]
            away = np.abs(crop.astype(int) - wanted)
            assert away.mean() < 0.3  # landmarks are kept to a hundredth of a pixel
            assert away.max() <= 10
            assert wanted.std() > 20


def test_without_alignment_the_box_frames_the_face(tmp_path: Path, enterface: Path) -> None:
    prepare(enterface, tmp_path / "out", shares=(0.5, 0.25, 0.25))
    faces = load_faces(tmp_path / "out", CropSpec(size=96), align=False)
    assert not faces.aligned.any()
    boxes = YuNet(threshold=0.5, min_face=40)(np.repeat(faces.crops[0][..., None], 3, axis=2)).boxes
    assert len(boxes) == 1
    assert (boxes[0, 3] - boxes[0, 1]) / 96 > 0.8  # it fills the crop, as crop.TEMPLATE_BOX has it


def test_a_number_of_frames_from_the_inside_of_each_film(tmp_path: Path, enterface: Path) -> None:
    facts = prepare(enterface, tmp_path / "out", frames=2, shares=(1.0, 0.0, 0.0))
    assert facts["videos"]["looks"] == 16
    assert facts["settings"]["frames"] == 2
    assert {row["time_s"] for row in table(tmp_path / "out" / "faces.csv")} == {"0.350", "0.700"}


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("ravdess", ("01-01-03-01-01-01-01.mp4", "01-01-08-01-01-01-02.mp4", "02-01-03-01-01-01-03.mp4")),
        ("crema-d", ("1001_DFA_HAP_XX.flv", "1002_DFA_ANG_XX.flv", "1003_IEO_HAP_LO.flv")),
    ],
)
def test_other_data_sets_of_films(tmp_path: Path, portraits: list[np.ndarray], layout: str, names: tuple[str, ...]) -> None:
    for name in names:
        clip(tmp_path / "in" / name, portraits[0])
    facts = prepare(tmp_path / "in", tmp_path / "out")
    assert facts["layout"] == layout
    assert len(facts["names"]) == 2
    assert [len(facts["persons"][s]) for s in SPLITS] == [1, 1, 1]
    assert facts["pictures"] == 6


def test_films_in_folders_named_as_classes(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    for person in (1, 2, 3):
        clip(tmp_path / "in" / "happiness" / f"s{person}_ha_1.avi", portraits[0])
    assert prepare(tmp_path / "in", tmp_path / "out")["layout"] == "enterface"


def test_a_broken_film_does_not_take_the_others_along(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    source = tmp_path / "in"
    for person in (1, 2, 3, 4):
        clip(source / f"s{person}_ha_1.avi", portraits[0])
    clip(source / "s1_sa_1.avi", None)
    (source / "s2_an_1.avi").write_bytes(b"RIFF no film")
    sound_only(source / "s3_an_1.mp4")
    (source / "holiday.avi").write_bytes((source / "s1_ha_1.avi").read_bytes())
    facts = prepare(source, tmp_path / "out")
    assert facts["names"] == ["happiness"]
    assert facts["pictures"] == 8
    assert (facts["videos"]["failed"], facts["problems"]) == (2, 6)
    said = {row["file"]: row["problem"] for row in table(tmp_path / "out" / "problems.csv") if row["file"]}
    assert said["holiday.avi"].startswith("wanted a name such as s1_an_1.avi")
    assert said["s1_sa_1.avi"] == "nobody was found in any of its 2 frames"
    assert "no film" in said["s3_an_1.mp4"]
    assert "s2_an_1.avi" in said
    assert [row["problem"] for row in table(tmp_path / "out" / "problems.csv") if not row["file"]] == [
        "the class anger is empty: no film of it gave a face",
        "the class sadness is empty: no film of it gave a face",
    ]


def test_a_film_cut_off_gives_what_came_before(
    tmp_path: Path, portraits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.errors import MediaError
    from mien.media import Media

    for person in (1, 2, 3):
        clip(tmp_path / "in" / f"s{person}_ha_1.avi", portraits[0])
    whole = Media.frames

    def damaged(self: Media, every: float | None = None) -> Any:
        for i, frame in enumerate(whole(self, every)):
            if self.info.name == "s2_ha_1.avi" and i == 1:
                raise MediaError("s2_ha_1.avi: cannot decode after 0.50 s of 1.00 s: invalid data")
            yield frame

    monkeypatch.setattr(Media, "frames", damaged)
    facts = prepare(tmp_path / "in", tmp_path / "out")
    assert facts["pictures"] == 5
    assert table(tmp_path / "out" / "problems.csv") == [
        {"file": "s2_ha_1.avi", "problem": "cannot decode after 0.50 s of 1.00 s: invalid data"}
    ]


def test_nobody_in_any_film(tmp_path: Path) -> None:
    for person in (1, 2, 3):
        clip(tmp_path / "in" / f"s{person}_ha_1.avi", None)
    with pytest.raises(DataError, match=r"s1_ha_1\.avi: nobody was found in any of its 2 frames; that is the first of 3 problems"):
        prepare(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="but found none of them"):
        load_faces(tmp_path / "out", CropSpec())


def test_too_few_persons_are_told_before_any_work(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    clip(tmp_path / "in" / "s1_ha_1.avi", portraits[0])
    with pytest.raises(DataError, match="wanted at least 3 persons"):
        prepare(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert prepare(tmp_path / "in", tmp_path / "out", shares=(0.0, 0.0, 1.0))["persons"]["PrivateTest"] == ["1"]


# --- going on


class Counting:
    """A detector that counts, and stops the run where it is told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.yunet, self.seen, self.stop_after = YuNet(), 0, stop_after
        self.facts = self.yunet.facts

    def __call__(self, rgb: np.ndarray) -> Any:
        self.seen += 1
        if self.stop_after is not None and self.seen > self.stop_after:
            raise KeyboardInterrupt
        return self.yunet(rgb)


def test_a_stopped_run_goes_on(tmp_path: Path, enterface: Path) -> None:
    shares = (0.5, 0.25, 0.25)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    prepare(enterface, whole, shares=shares)
    with pytest.raises(KeyboardInterrupt):
        prepare(enterface, parts, shares=shares, detector=Counting(stop_after=7))
    assert not (parts / "data.json").exists()
    assert not list(parts.glob(".film-*"))
    (parts / ".film-left").mkdir()  # by a kill
    second = Counting()
    prepare(enterface, parts, shares=shares, detector=second)
    assert second.seen == 16 - 6  # three films were whole
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(parts) for p in parts.rglob("*") if p.is_file())
    assert all((whole / f).read_bytes() == (parts / f).read_bytes() for f in files)
    assert not (parts / ".film-left").exists()
    third = Counting()
    prepare(enterface, parts, shares=(0.25, 0.25, 0.5), detector=third)  # divided anew without a look
    assert third.seen == 0
    prepare(enterface, parts, shares=shares, every_s=0.25, detector=third)  # looked at anew
    assert third.seen == 32
    assert len(list((parts / "pictures").rglob("*.png"))) == 30


def test_films_that_are_gone_or_changed(tmp_path: Path, portraits: list[np.ndarray]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for person in (1, 2, 3, 4):
        clip(source / f"s{person}_ha_1.avi", portraits[0])
    prepare(source, out)
    (source / "s1_ha_1.avi").unlink()
    clip(source / "s2_ha_1.avi", portraits[1], frames=30)
    detector = Counting()
    facts = prepare(source, out, detector=detector)
    assert (detector.seen, facts["pictures"]) == (3, 7)
    assert sorted(p.name for p in (out / "pictures").iterdir()) == ["s2_ha_1", "s3_ha_1", "s4_ha_1"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, enterface: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "mine.json").write_text("{}")
    with pytest.raises(DataError, match="is there already and was not made of films; remove it or give another folder"):
        prepare(enterface, tmp_path, shares=(0.5, 0.25, 0.25))
    assert (tmp_path / "videos" / "mine.json").read_text() == "{}"
    with pytest.raises(DataError, match="is a file; give a folder"):
        prepare(enterface, tmp_path / "videos" / "mine.json")


# --- what is cut out


def eye_distance(landmarks: np.ndarray) -> float:
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))


def test_the_square_around_the_face(astronaut: Path) -> None:
    rgb = read_picture(astronaut).rgb
    found = YuNet()(rgb)
    region, face = cut_out(rgb, found)
    crop_side = max(found.boxes[0, 2] - found.boxes[0, 0], (found.boxes[0, 3] - found.boxes[0, 1]))
    assert 0.8 < max(region.shape[:2]) / (REGION * crop_side) <= 1.2
    again = YuNet()(region)
    assert np.abs(again.landmarks[0] - face.landmarks).max() < 0.15 * eye_distance(face.landmarks)
    x1, y1, _, _ = face.box.astype(int)
    left, top = (found.boxes[0, :2] - face.box[:2]).round().astype(int)
    assert np.array_equal(region[y1], rgb[top + y1, left : left + region.shape[1]])
    assert x1 > 0


def test_a_large_face_is_brought_down(astronaut: Path) -> None:
    rgb = cv2.resize(read_picture(astronaut).rgb, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    found = YuNet()(rgb)
    region, face = cut_out(rgb, found)
    assert max(region.shape[:2]) == MAX_SIDE
    scale = eye_distance(face.landmarks) / eye_distance(found.landmarks[0])
    assert scale < 0.8
    assert (face.box[2:] - face.box[:2]) / (found.boxes[0, 2:] - found.boxes[0, :2]) == pytest.approx(scale, rel=0.01)
    again = YuNet()(region)
    assert np.abs(again.landmarks[0] - face.landmarks).max() < 0.15 * eye_distance(face.landmarks)


# --- pictures


def test_any_layout_becomes_prepared(tmp_path: Path, data: Path) -> None:
    facts = prepare(data, tmp_path / "out")
    assert (facts["layout"], facts["pictures"]) == ("fer2013", 168)
    spec = CropSpec(size=32, detail=0)
    before, after = load_faces(data, spec, align=False), load_faces(tmp_path / "out", spec, align=False)
    assert np.array_equal(before.crops, after.crops)
    assert np.array_equal(before.votes, after.votes)
    for label_set in ("ekman", "fer2013", "ferplus"):
        assert np.array_equal(before.truth(label_set), after.truth(label_set))
        assert np.array_equal(before.targets(label_set), after.targets(label_set))
    assert before.split.tolist() == after.split.tolist()
    assert after.source[0] == "pictures/fer2013_row_2.png"
    with pytest.raises(DataError, match="is there already; remove it or give another folder"):
        prepare(data, tmp_path / "out")
    again = prepare(tmp_path / "out", tmp_path / "twice")
    assert again["counts"] == facts["counts"]
    assert np.array_equal(load_faces(tmp_path / "twice", spec, align=False).crops, after.crops)


def test_colour_stays_and_names_stay_apart(tmp_path: Path, astronaut: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        (tmp_path / "in" / "happy").mkdir(parents=True, exist_ok=True)
        rgb = cv2.resize(read_picture(astronaut).rgb, (96, 96))
        cv2.imwrite(str(tmp_path / "in" / "happy" / name), rgb[..., ::-1] if name != "b.png" else rgb[..., 0])
    prepare(tmp_path / "in", tmp_path / "out", shares=(1.0, 0.0, 0.0))
    rows = table(tmp_path / "out" / "faces.csv")
    assert [row["file"] for row in rows] == ["pictures/happy/a.png", "pictures/happy/a-2.png", "pictures/happy/b.png"]
    assert cv2.imread(str(tmp_path / "out" / rows[1]["file"]), cv2.IMREAD_UNCHANGED).shape == (96, 96, 3)
    assert cv2.imread(str(tmp_path / "out" / rows[2]["file"]), cv2.IMREAD_UNCHANGED).shape == (96, 96)
    wanted = read_picture(tmp_path / "in" / "happy" / "a.png").rgb
    assert np.array_equal(read_picture(tmp_path / "out" / rows[1]["file"]).rgb, wanted)


def test_bad_pictures_are_refused_or_listed(tmp_path: Path, data: Path) -> None:
    source = tmp_path / "in"
    for name in ("fear", "anger"):
        (source / name).mkdir(parents=True)
        for i in range(10):
            cv2.imwrite(str(source / name / f"{i}.png"), np.full((48, 48), 20 * i, np.uint8))
    (source / "fear" / "3.png").write_bytes(b"no picture")
    (source / "anger" / "note.txt").touch()
    with pytest.raises(DataError, match=r"note\.txt: is no picture"):
        prepare(source, tmp_path / "out")
    (source / "anger" / "note.txt").unlink()
    with pytest.raises(DataError, match=r"fear/3\.png: "):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out-*"))
    (source / "anger" / "note.txt").touch()
    facts = prepare(source, tmp_path / "out", skip_bad=True)
    assert (facts["pictures"], facts["problems"]) == (19, 2)
    assert facts["notes"][-1] == "could not be read and left out: 2, see problems.csv"
    assert [row["file"] for row in table(tmp_path / "out" / "problems.csv")] == ["anger/note.txt", "fear/3.png"]
    assert len(load_faces(tmp_path / "out", CropSpec(size=16))) == 19
    shutil.copy(data / "fer2013.csv", tmp_path)
    text = (tmp_path / "fer2013.csv").read_text().replace("PublicTest", "Public", 1)
    (tmp_path / "fer2013.csv").write_text(text)
    prepare(tmp_path, tmp_path / "rows", layout="fer2013", skip_bad=True)
    problems = table(tmp_path / "rows" / "problems.csv")
    assert [row["file"] for row in problems] == ["fer2013.csv, row 86"]
    assert problems[0]["problem"].startswith("wanted a Usage among")


def test_a_split_that_lacks_a_class_is_warned_of(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for split, labels in (("train", ("happy", "sad", "fear")), ("test", ("happy",))):
        for label in labels:
            (source / split / label).mkdir(parents=True)
            for i in range(20):
                picture = np.full((48, 48), 10 * i + len(label), np.uint8)
                cv2.imwrite(str(source / split / label / f"{split}{i}.png"), picture)
    wanted = ["PrivateTest has no picture of fear", "PrivateTest has no picture of sadness"]
    for layout, folder in (("folders", source), ("prepared", tmp_path / "out-folders")):
        notes = prepare(folder, tmp_path / f"out-{layout}", layout=layout)["notes"]
        assert sorted(note for note in notes if "has no picture" in note) == wanted
