"""Patterns are drawn: blobs of light and dark stand for what a shot shows."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.analyze import Analyzer
from mien.cuts import WITHIN_S, Changed, Cuts
from mien.media import VideoWriter, open_media, read_picture

Picture = NDArray[np.uint8]
BOX = np.array([[260.0, 100.0, 380.0, 240.0]])


def shot(seed: int, size: tuple[int, int] = (640, 360)) -> Picture:
    """A place: an RGB picture of blobs, another one for each seed."""
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (9, 16, 1), np.uint8).repeat(3, axis=2)
    return np.asarray(cv2.resize(few, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def looked(pictures: Iterable[Picture], every: float = 0.04) -> list[Changed | None]:
    cuts = Cuts()
    return [cuts.look(picture, i * every) for i, picture in enumerate(pictures)]


def at(found: list[Changed | None]) -> list[int]:
    return [i for i, changed in enumerate(found) if changed is not None]


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1920, 1080), (120, 90), (64, 64)])
@pytest.mark.parametrize("every", [0.04, 0.5])
def test_another_shot_is_another_picture(size: tuple[int, int], every: float) -> None:
    one, other = shot(1, size), shot(2, size)
    found = looked([one, one, one, other, other, one], every)
    assert at(found) == [3, 5]
    assert found[3] is not None
    middle = np.array([[size[0] * 0.3, size[1] * 0.3, size[0] * 0.6, size[1] * 0.7]])
    assert found[3](middle).tolist() == [True]
    assert found[3](np.zeros((0, 4))).tolist() == []


def test_looks_far_apart_are_not_compared() -> None:
    assert at(looked([shot(1), shot(2), shot(3)], WITHIN_S + 0.01)) == []
    assert at(looked([shot(1), shot(2), shot(3)], WITHIN_S)) == [1, 2]


def test_light_noise_and_motion_are_no_cut() -> None:
    rng = np.random.default_rng(4)
    place = shot(1).astype(np.float64)
    pictures = [
        place,
        place * 0.4,  # the light goes down,
        place * 0.4 + 120,  # a wall lights up,
        place,
        place + rng.normal(0, 25, place.shape),
        np.roll(place, 12, axis=1),  # the camera moves on
        np.roll(place, 24, axis=1),
    ]
    assert at(looked([np.clip(p, 0, 255).astype(np.uint8) for p in pictures])) == []


@pytest.mark.parametrize("grain", [0, 9])
@pytest.mark.parametrize("light", [0.5, 0.3, 0.2, 0.1])
def test_cuts_are_seen_in_the_dark(light: float, grain: float) -> None:
    rng = np.random.default_rng(6)
    films = [shot(1), shot(1), np.roll(shot(1), 12, axis=1), shot(2), shot(2), shot(2) * 0.5, shot(2), shot(3)]
    pictures = [np.clip((film * light + rng.normal(0, grain, film.shape)).round(), 0, 255).astype(np.uint8) for film in films]
    assert at(looked(pictures)) == [3, 7]


@pytest.mark.parametrize("light", [1.0, 0.1])
def test_fades_flashes_and_zooms_are_no_cuts_at_any_light(light: float) -> None:
    place = shot(1) * light
    half = (place + 255) / 2
    fade = [place * share for share in np.abs(np.linspace(-1, 1, 21))]
    turns = [cv2.getRotationMatrix2D((320, 180), 0, scale) for scale in np.linspace(1, 1.5, 15)]
    zoom = [cv2.warpAffine(place, turn, (640, 360)) for turn in turns]
    for film in ([place, half, place], fade, zoom):
        assert at(looked([p.round().astype(np.uint8) for p in film])) == []


@pytest.mark.parametrize("grain", [3, 9, 15])
def test_grain_on_black_and_a_lamp_that_moves_are_no_cuts(grain: float) -> None:
    rng = np.random.default_rng(7)
    pictures = [np.clip(rng.normal(4, grain, (360, 640, 3)), 0, 255) for _ in range(12)]
    for i, picture in enumerate(pictures[6:]):
        picture[100:140, 60 + 80 * i : 100 + 80 * i] += 60
    assert at(looked([p.astype(np.uint8) for p in pictures])) == []


def test_a_face_that_the_camera_follows_stays_in_a_dark_and_grainy_film() -> None:
    rng = np.random.default_rng(8)
    grounds = [shot(seed) for seed in (1, 2, 3)]
    for ground in grounds:
        ground[100:240, 260:380] = shot(9, (120, 140))
    dark = [np.clip(ground * 0.1 + rng.normal(0, 9, ground.shape), 0, 255).astype(np.uint8) for ground in grounds]
    found = [changed for changed in looked(dark, 0.5) if changed is not None]
    assert [changed(BOX).tolist() for changed in found] == [[False], [False]]


def test_a_flash_and_a_black_frame_are_no_cut_but_what_comes_after_them_can_be() -> None:
    white, black = np.full((360, 640, 3), 255, np.uint8), np.zeros((360, 640, 3), np.uint8)
    assert at(looked([shot(1), white, shot(1), black, black, shot(1)])) == []
    assert at(looked([shot(1), white, shot(2)])) == [2]


def test_after_a_second_of_black_another_shot_is_another_picture() -> None:
    """Tracks live as long, and would be handed on."""
    black = np.zeros((360, 640, 3), np.uint8)
    assert at(looked([shot(1), *[black] * 25, shot(2)])) == [26]
    assert at(looked([shot(1), *[black] * 25, shot(1)])) == []
    assert at(looked([shot(1), black, shot(2)], 0.5)) == [2]


def test_a_face_that_the_camera_follows_stays_though_the_ground_behind_it_is_another_one_at_each_look() -> None:
    grounds = [shot(seed) for seed in (1, 2, 3)]
    for ground in grounds:
        ground[100:240, 260:380] = shot(9, (120, 140))
    found = [changed for changed in looked(grounds, 0.5) if changed is not None]
    assert [changed(BOX).tolist() for changed in found] == [[False], [False]]


def test_a_face_that_moves_before_a_plain_wall_is_no_cut() -> None:
    """Nothing but the face has a pattern there: where it moves by its own width the two pictures are not alike at all."""
    wall = np.full((360, 640, 3), 200, np.uint8)
    pictures = []
    for x in (40, 160, 280, 400):
        pictures.append(wall.copy())
        pictures[-1][120:260, x : x + 110] = shot(3, (110, 140))
    assert at(looked(pictures)) == []


def test_who_stands_beside_a_page_that_turns_stays() -> None:
    """A call with a shared screen: most of the picture is another one, the people in their corner are not."""
    pages = [shot(seed) for seed in (5, 6)]
    person = np.array([[540.0, 20.0, 600.0, 90.0]])
    for page in pages:
        page[:130, 480:] = shot(7, (160, 130))
    (found,) = [changed for changed in looked(pages) if changed is not None]
    assert found(np.concatenate([person, BOX])).tolist() == [False, True]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_half_a_face_and_three_sides_of_what_is_around_it_are_enough(mirrored: bool, turned: bool) -> None:
    """Of the face's box too little is alike; with half of it more on each side it is enough, whichever side is another one."""
    around = shot(7, (240, 280))
    pages = [shot(seed) for seed in (5, 6)]
    for page in pages:
        ground = page.copy()
        page[30:310, 200:440] = around
        page[30:310, 200:260] = ground[30:310, 200:260]  # one side,
        page[100:240, 260:320] = ground[100:240, 260:320]  # and the half of the face that is nearer to it
    x1, y1, x2, y2 = BOX[0]
    if mirrored:
        pages, (x1, x2) = [page[:, ::-1] for page in pages], (640 - x2, 640 - x1)
    if turned:
        pages, (x1, y1, x2, y2) = [page.transpose(1, 0, 2) for page in pages], (y1, x1, y2, x2)
    (found,) = [changed for changed in looked([np.ascontiguousarray(page) for page in pages]) if changed is not None]
    assert found(np.array([[x1, y1, x2, y2], [0, 0, 120, 120]])).tolist() == [False, True]


def test_a_face_too_small_to_have_a_pattern_goes_with_the_picture() -> None:
    (found,) = [changed for changed in looked([shot(1), shot(2)]) if changed is not None]
    outside = np.array([[300.0, 100.0, 304.0, 104.0], [-90.0, -90.0, -50.0, -50.0], [700.0, 400.0, 740.0, 440.0]])
    assert found(outside).all()


def test_a_film_that_changes_its_size_is_not_compared_across_it() -> None:
    assert at(looked([shot(1), shot(2, (360, 640)), shot(2, (360, 640))])) == []


@pytest.mark.parametrize("every", [0.1, 0.5])
def test_two_portraits_that_are_cut_against_each_other_are_two_people(
    tmp_path: Path, hopper: Path, astronaut: Path, every: float
) -> None:
    """Real faces in one place: by place alone they would be one person."""
    analyzer = Analyzer()
    shots = []
    for portrait in (hopper, astronaut):
        rgb = read_picture(portrait).rgb
        x1, y1, x2, y2 = analyzer.faces(rgb)[0].boxes[0]
        side = (y2 - y1) * 1.1
        middle = ((x1 + x2) / 2, (y1 + y2) / 2)
        part = cv2.getRectSubPix(rgb, (round(side * 16 / 9), round(side)), middle)
        shots.append(cv2.resize(part, (320, 180), interpolation=cv2.INTER_AREA))
    path = tmp_path / "cut.mp4"
    with VideoWriter(path, 320, 180, fps_hint=10) as film:
        for i in range(40):
            film.write(shots[i // 20], i / 10)
    with open_media(path) as media:
        tracks = [r.tracks.tolist() for r in analyzer.stream(media, every)]
    looks = len(tracks) // 2
    assert tracks == [[1]] * looks + [[2]] * looks
    state, alone = analyzer.begin(), []
    with open_media(path) as media:
        for frame in media.frames(every):
            faces, emotions = analyzer.faces(frame.rgb)
            alone.append(state.update(faces, frame.time_s, emotions)[0].tolist())
    assert alone == [[1]] * len(alone)
