import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import LABELS, tiny_bundle, tiny_network
from mien import models
from mien.errors import ModelError
from mien.labels import LABEL_SETS
from mien.models import Head, ModelSpec, OnnxSession, find_model, known_models, load_model, pull, read_spec
from mien.training.card import card


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


# --- folders


def test_a_bundle_is_read_whole(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "tiny")
    bundle = load_model(folder)
    assert bundle.spec.head().labels == LABELS
    assert bundle.folder == folder
    assert bundle.card == "# tiny\n"
    (bundle.folder / "CARD.md").write_bytes(b"# t\xa1ny\n")
    assert bundle.card == "# t�ny\n"
    batch = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype(np.float32)
    logits = bundle.session(batch)["faces"]
    assert logits.shape == (3, 3)
    assert np.allclose(logits[1], bundle.session(batch[1:2])["faces"], atol=1e-5)


def test_labels_and_preprocessing_travel_with_the_weights(tmp_path: Path) -> None:
    spec = read_spec(tiny_bundle(tmp_path / "a", labels=("calm", "wild"), input={"layout": "NCHW", "mean": 0.1, "std": 0.7}))
    assert spec.head().labels == ("calm", "wild")
    assert (spec.mean, spec.std, spec.crop.size, spec.crop.detail) == (0.1, 0.7, 8, 0)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "here") == spec


def test_the_same_folder_is_loaded_once_and_again_after_a_change(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "tiny")
    first = load_model(folder)
    assert load_model(folder) is first
    edit(folder, version="2")
    os.utime(folder / "model.json", ns=(1, 1))
    assert load_model(folder).spec.version == "2"


def _other_network(folder: Path) -> None:
    tiny_network(folder / "model.onnx", {"faces": 3}, seed=7)


def _no_network(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def _not_a_network(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a network")
    edit(folder, sha256=hashlib.sha256(b"not a network").hexdigest())


def _text(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.json").write_text(text, encoding="utf-8") and None


def _change(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder, **changes)


def _lose(key: str) -> Callable[[Path], None]:
    def lose(folder: Path) -> None:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        del content[key]
        (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")

    return lose


def _head(**changes: Any) -> dict[str, Any]:
    return {"name": "faces", "labels": list(LABELS), "temperature": 1.0, "bias": []} | changes


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_other_network, "damaged or was exchanged: wanted sha256 .*, but got .*; copy the folder again"),
        (_no_network, "no model.onnx"),
        (_not_a_network, "not a network that onnxruntime can load"),
        (lambda folder: (folder / "model.json").unlink(), "no model.json"),
        (_text("{"), "model.json cannot be read"),
        (_text(""), "model.json cannot be read"),
        (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe{}") and None, "model.json cannot be read"),
        (_text("[]"), "wanted model.json of format 1, but got 'list'"),
        (_change(format=2), "wanted model.json of format 1, but got 2"),
        (_lose("format"), "wanted model.json of format 1, but got None"),
        (_lose("sha256"), "lacks 'sha256'"),
        (_lose("heads"), "lacks 'heads'"),
        (_change(crop={"size": 8, "shape": "round"}), "shape"),
        (_change(crop={"size": "large"}), "model.json: "),
        (_change(crop={"size": 0}), "at least 1"),
        (_change(input={"mean": 0.5}), "lacks 'std'"),
        (_change(input={"mean": "half", "std": 1}), "half"),
        (_change(input={"mean": 0.5, "std": 0}), "std"),
        (_change(heads=[]), "names no head"),
        (_change(heads=[_head(labels=["anger", "happiness"])]), "gives 3 values for 2 labels"),
        (_change(heads=[_head(labels=[*LABELS, "fear"])]), "gives 3 values for 4 labels"),
        (_change(heads=[_head(name="other")]), "no output 'other'; it has: faces"),
        (_change(heads=[_head(temperature=0)]), "temperature above 0"),
        (_change(heads=[_head(priors={"natural": {"temperature": 0, "bias": []}})]), "temperature above 0"),
        (_change(heads=[_head(priors={"natural": {"temperature": 1, "bias": [1.0]}})]), "as many biases as labels"),
        (_change(heads=[_head(priors={"natural": {"bias": []}})]), "lacks 'temperature'"),
        (_change(heads=[_head(priors=["natural"])]), "model.json"),
        (_change(heads=[_head(temperature=float("nan"))]), "temperature above 0"),
        (_change(heads=[_head(labels=["anger", "fear", "anger"])]), "labels that are different words"),
        (_change(heads=[_head(labels=["anger", "fear", 3])]), "labels that are different words"),
        (_change(input={"mean": 0.5, "std": float("nan")}), "std"),
        (_change(heads=[_head(bias=[0.1])]), "as many biases as labels"),
        (_change(crop={"size": 16, "detail": 0}), r"wants pictures of .*8.*, but .*16"),
        (_change(crop={"size": 8, "colour": "rgb", "detail": 0}), r"wants pictures of"),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_line_that_names_it(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    folder = tiny_bundle(tmp_path / "tiny")
    damage(folder)
    with pytest.raises(ModelError, match=says) as raised:
        load_model(folder)
    assert "tiny" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path, user_home: Path) -> None:
    tiny_bundle(user_home / "home" / "models" / "pulled-one")
    with pytest.raises(ModelError, match=r"no model 'emotion-x'; known: mien-lite0, mien-small, pulled-one; or give a folder"):
        find_model("emotion-x")
    with pytest.raises(ModelError, match="no model"):
        load_model(tmp_path / "nowhere")


def test_names_find_bundled_and_pulled_models(user_home: Path) -> None:
    folder = tiny_bundle(user_home / "home" / "models" / "pulled-one")
    assert find_model("pulled-one") == folder
    assert find_model("default") == models.bundled_folder() / models.DEFAULT_MODEL
    assert list(known_models())[-1] == "pulled-one"


def test_a_name_that_is_a_model_folder_here_too_is_not_guessed(user_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tiny_bundle(user_home / "home" / "models" / "mine")
    (user_home / "work").mkdir()
    monkeypatch.chdir(user_home / "work")
    assert find_model("mine") == known
    tiny_bundle(Path("mine"))
    with pytest.raises(ModelError, match=r"'mine' is a known model and a folder here; write \./mine"):
        find_model("mine")
    assert find_model("./mine") == find_model(Path("mine")) == Path("mine")


def test_a_name_that_the_model_does_not_have_lists_its_heads(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no label set 'ekman'; it has: faces"):
        read_spec(tiny_bundle(tmp_path / "tiny")).head("ekman")


# --- probabilities


def test_probabilities_are_a_softmax_with_bias_and_temperature() -> None:
    logits = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
    head = Head("faces", LABELS, temperature=2.0, bias=(3.0, 0.0, 0.0))
    wanted = np.exp([[2.0, 1.0, 2.0], [1.5, 0.0, 0.0]])
    assert np.allclose(head.probabilities(logits), wanted / wanted.sum(axis=1, keepdims=True), atol=1e-6)


def test_probabilities_of_huge_logits_stay_finite() -> None:
    found = Head("faces", LABELS, temperature=0.01).probabilities(np.array([[1e4, -1e4, 0.0]]))
    assert found.tolist() == [[1.0, 0.0, 0.0]]
    assert found.dtype == np.float32


# --- sessions


def test_bytes_that_are_no_network(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^cat\.onnx: not a network") as raised:
        OnnxSession(b"meow", name="cat.onnx")
    assert "\n" not in str(raised.value)


def test_one_session_serves_eight_threads_alike(tmp_path: Path) -> None:
    session = load_model().session
    size = load_model().spec.crop.size
    batches = [np.random.default_rng(i).normal(size=(i % 3 + 1, 1, size, size)).astype(np.float32) for i in range(8)]
    alone = [{name: v.copy() for name, v in session(b).items()} for b in batches]
    wrong: list[int] = []
    ready = threading.Barrier(8)

    def work(i: int) -> None:
        ready.wait()
        for _ in range(5):
            found = session(batches[i])
            if not all(np.array_equal(found[name], alone[i][name]) for name in alone[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
    assert not np.array_equal(alone[0]["ferplus"][0], alone[3]["ferplus"][0])


# --- what ships


BUNDLED = sorted(p.parent for p in models.bundled_folder().glob("*/model.json"))


def test_the_default_model_ships() -> None:
    assert models.DEFAULT_MODEL in [p.name for p in BUNDLED]


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda p: p.name)
def test_a_bundled_model_is_whole_small_and_described(folder: Path) -> None:
    bundle = load_model(folder)
    spec = bundle.spec
    assert spec.name == folder.name
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 20_000_000
    assert {p.name for p in folder.iterdir()} == {"model.onnx", "model.json", "CARD.md"}
    assert bundle.card == card(spec), "CARD.md is not what model.json says; write it anew with mien.training.export.write_bundle"
    for head in spec.heads:
        assert head.labels == LABEL_SETS[head.name]
    assert {"code", "weights", "data"} <= set(spec.licences)
    assert all(spec.licences.values())
    for protocol, splits in spec.evaluation.items():
        if protocol != "parameters":
            for split, found in splits.items():
                assert found["sha256"] == spec.sha256, f"{protocol} {split} was measured on another network"


# --- pull


def packed(folder: Path, path: Path, *, under: str = "", extra: dict[str, bytes] | None = None) -> tuple[str, str]:
    """The folder as a zip file; its address and sha256."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{under}{file.name}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest()


def everything_under(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("under", ["", "tiny/", "a/b/"])
def test_pull_checks_and_keeps(tmp_path: Path, user_home: Path, under: str) -> None:
    url, digest = packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "tiny.zip", under=under)
    folder = pull("new-one", url, digest.upper())
    assert folder == user_home / "home" / "models" / "new-one"
    assert load_model("new-one").spec.head().labels == LABELS
    assert everything_under(user_home) == [f"home/models/new-one/{n}" for n in ("CARD.md", "model.json", "model.onnx")]
    assert [p.name for p in folder.parent.iterdir()] == ["new-one"]  # nor an empty folder left


def test_pull_replaces_an_older_one_of_the_name(tmp_path: Path) -> None:
    pull("one", *packed(tiny_bundle(tmp_path / "a", version="1"), tmp_path / "a.zip"))
    assert load_model("one").spec.version == "1"
    pull("one", *packed(tiny_bundle(tmp_path / "b", version="2"), tmp_path / "b.zip"))
    assert load_model("one").spec.version == "2"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "wanted sha256 000000000000…, but .* has"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"name": "../evil"}, "no model can be called"),
        ({"name": "Évil"}, "no model can be called"),
        ({"name": ""}, "no model can be called"),
        ({"name": "mien-lite0"}, "ships with mien"),
        ({"name": "default"}, "not 'default'"),
        ({"url": "file:///nowhere/at/all.zip"}, "cannot be downloaded"),
        ({"url": "tiny.zip"}, "cannot be downloaded"),
        ({"url": "gopher://x"}, "cannot be downloaded"),
        ({"url": "http://a b/"}, "cannot be downloaded"),
    ],
)
def test_pull_that_fails_leaves_nothing_and_touches_nothing(
    tmp_path: Path, user_home: Path, change: dict[str, str], says: str
) -> None:
    url, digest = packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "tiny.zip")
    pull("kept", url, digest)
    before = everything_under(user_home)
    with pytest.raises(ModelError, match=says) as raised:
        pull(**({"name": "kept", "url": url, "sha256": digest} | change))
    assert "\n" not in str(raised.value)
    assert everything_under(user_home) == before
    assert load_model("kept").spec.name == "tiny"


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_pull_of_a_zip_that_is_damaged_inside_leaves_nothing(tmp_path: Path, user_home: Path, place: float) -> None:
    """zipfile raises what its unpacking met: zlib's errors, of text, of places in a file."""
    packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "tiny.zip")
    data = bytearray((tmp_path / "tiny.zip").read_bytes())
    at = int(len(data) * place)
    data[at : at + 60] = b"\xff" * 60
    (tmp_path / "tiny.zip").write_bytes(data)
    before = everything_under(user_home)
    with pytest.raises(ModelError, match=r"is not a zip file that can be read|wanted one model|cannot be read|damaged|is larger"):
        pull("new-one", (tmp_path / "tiny.zip").as_uri(), hashlib.sha256(data).hexdigest())
    assert everything_under(user_home) == before


def test_pull_of_a_directory_that_lies_leaves_nothing(tmp_path: Path, user_home: Path) -> None:
    packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "tiny.zip")
    data = (tmp_path / "tiny.zip").read_bytes()
    data = data[len(data) // 2 :] + data[: len(data) // 2]
    (tmp_path / "tiny.zip").write_bytes(data)
    with pytest.raises(ModelError, match="is not a zip file that can be read"):
        pull("new-one", (tmp_path / "tiny.zip").as_uri(), hashlib.sha256(data).hexdigest())


def test_pull_of_a_damaged_bundle_leaves_the_old_one(tmp_path: Path, user_home: Path) -> None:
    pull("kept", *packed(tiny_bundle(tmp_path / "a"), tmp_path / "a.zip"))
    bad = tiny_bundle(tmp_path / "b", sha256="0" * 64)
    before = everything_under(user_home)
    with pytest.raises(ModelError, match="damaged"):
        pull("kept", *packed(bad, tmp_path / "b.zip"))
    assert everything_under(user_home) == before
    assert load_model("kept").spec.name == "a"


def test_pull_of_what_is_no_zip_or_no_bundle(tmp_path: Path, user_home: Path) -> None:
    text = tmp_path / "text.zip"
    text.write_bytes(b"hello")
    with pytest.raises(ModelError, match="not a zip file that can be read"):
        pull("one", text.as_uri(), hashlib.sha256(b"hello").hexdigest())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"wanted one model\.json in the zip, but got 0"):
        pull("one", *packed(tmp_path / "empty", tmp_path / "empty.zip"))
    two = packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "two.zip", extra={"again/model.json": b"{}"})
    with pytest.raises(ModelError, match=r"wanted one model\.json in the zip, but got 2"):
        pull("one", *two)
    assert everything_under(user_home) == []


def test_pull_never_writes_outside_its_folder(tmp_path: Path, user_home: Path) -> None:
    evil = {"../../../../escaped.txt": b"x", "/tmp/mien-escaped.txt": b"x"}
    pull("one", *packed(tiny_bundle(tmp_path / "tiny"), tmp_path / "evil.zip", extra=evil))
    escaped = [str(p) for p in user_home.parent.rglob("*escaped.txt")]  # zipfile takes ".." and "/" out of the names
    assert all(p.startswith(str(user_home / "home" / "models" / "one")) for p in escaped)
    assert not Path("/tmp/mien-escaped.txt").exists()
    assert not (user_home.parent.parent / "escaped.txt").exists()
    assert [p.name for p in (user_home / "home" / "models").iterdir()] == ["one"]


def test_pull_of_a_zip_that_swells_is_refused(tmp_path: Path, user_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_BUNDLE_MB", 1)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in tiny_bundle(tmp_path / "tiny").iterdir():
            archive.write(file, file.name)
        archive.writestr("zeros", b"\0" * 3_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="larger than 1 MB"):
        pull("one", path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest())
    assert everything_under(user_home) == []


# --- devices


class Runtime:
    """An onnxruntime that was built with other providers, of which some work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, built: list[str], works: list[str]) -> None:
        self.real, self.works, self.asked = models.ort.InferenceSession, works, []
        monkeypatch.setattr(models.ort, "get_available_providers", lambda: [*built, "CPUExecutionProvider"])
        monkeypatch.setattr(models.ort, "InferenceSession", self.session)
        monkeypatch.setattr(models.ort, "set_default_logger_severity", lambda level: None)

    def session(self, source: Any, options: Any, providers: list[tuple[str, dict[str, str]]]) -> Any:
        ((name, _how),) = providers
        self.asked.append(name)
        made = self.real(source, options, providers=["CPUExecutionProvider"])
        if name in self.works:
            made.get_providers = lambda: [name, "CPUExecutionProvider"]
        return made


CUDA, OPENVINO = "CUDAExecutionProvider", "OpenVINOExecutionProvider"


@pytest.mark.parametrize(
    ("asked", "built", "works", "becomes"),
    [
        ("cpu", [CUDA], [CUDA], "cpu"),
        ("cuda", [CUDA, OPENVINO], [CUDA], "cuda"),
        ("openvino", [OPENVINO], [OPENVINO], "openvino"),
        ("auto", [CUDA, OPENVINO], [CUDA, OPENVINO], "cuda"),
        ("auto", [CUDA, OPENVINO], [OPENVINO], "openvino"),
        ("auto", [CUDA], [], "cpu"),
        ("auto", [], [], "cpu"),
    ],
)
def test_a_network_runs_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, built: list[str], works: list[str], becomes: str
) -> None:
    Runtime(monkeypatch, built, works)
    assert load_model(tiny_bundle(tmp_path / "tiny"), asked).session.device == becomes


@pytest.mark.parametrize(
    ("asked", "built", "says"),
    [
        ("cuda", [], "--device cuda: this onnxruntime does not have it; run: pip uninstall -y onnxruntime onnxruntime-gpu && pip"),
        ("openvino", [CUDA], "--device openvino: this onnxruntime does not have it; run: pip uninstall"),
        ("cuda", [CUDA], "--device cuda: cannot be used: its libraries or the device itself are not here; run: pip"),
    ],
)
def test_a_device_that_is_missing_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, built: list[str], says: str
) -> None:
    """Never the CPU in its place, in silence, as onnxruntime does it."""
    Runtime(monkeypatch, built, [])
    with pytest.raises(ModelError) as refused:
        load_model(tiny_bundle(tmp_path / "tiny"), asked)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_a_device_has_one_of_four_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no device 'gpu'; known: cpu, cuda, openvino, auto"):
        load_model(tiny_bundle(tmp_path / "tiny"), "gpu")


@pytest.mark.skipif("openvino" not in models.devices(), reason="wants: pip install onnxruntime-openvino")
def test_openvino_reads_what_the_cpu_reads(tmp_path: Path) -> None:
    bundle = load_model("default", "openvino")
    size = bundle.spec.crop.size
    batch = np.random.default_rng(0).normal(size=(5, 1, size, size)).astype(np.float32)
    for name, logits in load_model("default").session(batch).items():
        assert np.allclose(bundle.session(batch)[name], logits, atol=1e-4)
