import json
from pathlib import Path

import numpy as np
import pytest

from mien import demo
from mien.analyze import Analyzer
from mien.cli import CAVEAT, main
from mien.cluster import RESULT_FILES
from mien.demo import demo_film, installed_file
from mien.errors import MediaError
from mien.media import open_media

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_film(tmp_path_factory.mktemp("demo") / "demo.mp4")


def test_the_film_is_short_and_even(film: Path) -> None:
    with open_media(film) as media:
        assert (media.info.width, media.info.height) == (demo.WIDTH, demo.HEIGHT)
        times = np.array([f.time_s for f in media.frames()])
    assert np.allclose(np.diff(times), 1 / demo.FPS, atol=1e-3)
    assert 15 < times[-1] < 20


def test_the_film_shows_one_face_nobody_and_two_faces(film: Path) -> None:
    t = Analyzer().video(film, every=0.25)
    faces = dict(zip(t.times.tolist(), t.faces_per_frame.tolist(), strict=True))
    alone = [n for s, n in faces.items() if 0.1 < s < 2.9 or 4.7 < s < 7.5]
    nobody = [n for s, n in faces.items() if 3.05 < s < 4.55 or 7.65 < s < 9.15]
    together = [n for s, n in faces.items() if 9.3 < s < 12.1]
    assert set(alone) == {1}
    assert set(nobody) == {0}
    assert set(together) == {2}
    # Nobody takes over another's number: no track lasts over a pause.
    assert all(track.end_s - track.start_s < 6 for track in t)
    # Eileen Collins's smile, from 4.6 s on
    smiling = (t.face_times > 4.7) & (t.face_times < 7.5)
    lead = np.array(t.labels)[t.emotions[smiling].argmax(axis=1)]
    assert (lead == "happiness").mean() > 0.9


def test_mien_demo_ends_with_the_path_of_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], film: Path
) -> None:
    # The whole command on a film of a few looks: the film itself is tested above.
    def short(path: Path) -> Path:
        portrait = installed_file(*demo.PORTRAITS[0])
        assert portrait is not None
        with open_media(film) as media, demo.VideoWriter(path, demo.WIDTH, demo.HEIGHT, fps_hint=5) as out:
            for frame in media.frames(every=0.5):
                out.write(frame.rgb, frame.time_s)
        return path

    monkeypatch.setattr(demo, "demo_film", short)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    lines = out.out.splitlines()
    assert lines[0].startswith("demo film: ")
    assert lines[1] == CAVEAT
    assert lines[-1] == f"report: {tmp_path / 'demo.mien' / 'report.html'}"
    assert Path(lines[-1].removeprefix("report: ")).is_file()
    assert {p.name for p in (tmp_path / "demo.mien").iterdir()} >= {*RESULT_FILES, "annotated.mp4", "emotions.png"}
    summary = json.loads((tmp_path / "demo.mien" / "summary.json").read_text())
    assert summary["most_faces_at_once"] == 2
    assert summary["shares"]["happiness"] > 0.2
    assert [p.name for p in tmp_path.iterdir()] == ["demo.mien"]


def test_without_the_demo_extra_matplotlibs_portrait_makes_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = installed_file
    monkeypatch.setattr(demo, "installed_file", lambda package, name: real(package, name) if package == "matplotlib" else None)
    with open_media(demo_film(tmp_path / "demo.mp4")) as media:
        assert 4.5 < max(f.time_s for f in media.frames()) < 4.6


def test_without_any_portrait_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "installed_file", lambda package, name: None)
    with pytest.raises(MediaError, match=r"none of the portraits.*pip install --force-reinstall matplotlib"):
        demo_film(tmp_path / "demo.mp4")
    assert list(tmp_path.iterdir()) == []


def test_installed_file_imports_nothing_and_finds_nothing_where_nothing_is() -> None:
    assert installed_file("no_such_package", "a.png") is None
    assert installed_file("matplotlib", "no/such/file.png") is None
    found = installed_file(*demo.PORTRAITS[0])
    assert found is not None
    assert found.name == "grace_hopper.jpg"


def test_pictures_of_any_shape_fit() -> None:
    for shape in ((10, 2000, 3), (2000, 10, 3), (1, 1, 3), (1500, 1500, 3)):
        shot = demo.shot([np.full(shape, 50, np.uint8)], zoom=1.2)
        assert shot.shape == (demo.HEIGHT, demo.WIDTH, 3)
        assert (shot == 50).any()
        assert (shot[:4] == demo.BACKGROUND).all()
