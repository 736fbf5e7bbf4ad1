import tomllib
from pathlib import Path

import pytest

from mien.errors import DataError
from mien.models import find_model, read_spec
from mien.training.networks import NETWORKS
from mien.training.recipe import Augmentation, Recipe, Stage, read_recipe, recipe_from

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_committed_recipes_are_recipes(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert recipe.network in NETWORKS
    assert recipe.description


def test_there_is_a_recipe_for_the_default_model() -> None:
    assert "mien-lite0" in [p.stem for p in RECIPES]


def test_what_a_recipe_does_not_say_is_the_default() -> None:
    recipe = recipe_from({"name": "a", "epochs": 3, "augment": {"flip": 0.0}, "crop": {"size": 48}}, "here")
    assert recipe == Recipe("a", epochs=3, augment=Augmentation(flip=0.0), crop=Recipe("a").crop.__class__(size=48))


def test_a_recipe_survives_json() -> None:
    recipe = Recipe("a", lr=0.01, heads={"ferplus": 2.0}, augment=Augmentation(noise=0.5), seed=9)
    assert recipe_from(recipe.to_json(), "here") == recipe


def test_stages_take_the_place_of_epochs() -> None:
    recipe = recipe_from({"name": "a", "stages": [{"epochs": 100, "lr": 1e-3}, {"epochs": 2, "lr": 1, "train_last": 4}]}, "here")
    assert recipe.parts == (Stage(100, 1e-3), Stage(2, 1.0, 4))
    assert recipe_from(recipe.to_json(), "here") == recipe
    assert Recipe("a", epochs=7, lr=0.1).parts == (Stage(7, 0.1),)


def test_a_recipe_may_be_changed_from_outside(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('name = "a"\nlr = 0.1\n[augment]\nflip = 0.5\n', encoding="utf-8")
    changed = read_recipe(path, ["network=p0-arch1", "augment.flip=0", "epochs = 3", 'name="b c"', "crop.size=48"])
    assert (changed.network, changed.augment.flip, changed.epochs, changed.name, changed.lr) == ("p0-arch1", 0.0, 3, "b c", 0.1)
    assert changed.crop.size == 48
    for change, says in (
        ("lr", "wanted a change such as lr=0.01"),
        ("=3", "wanted a change such as"),
        ("name.x=1", "name is no table"),
        ("speed=3", r"r\.toml with speed=3: unknown key 'speed'"),
        ("epochs=many", "epochs must be int, but got 'many'"),
    ):
        with pytest.raises(DataError, match=says):
            read_recipe(path, [change])


def test_whole_numbers_are_numbers() -> None:
    assert recipe_from({"name": "a", "lr": 1, "heads": {"ferplus": 1}}, "here").lr == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('nmae = "a"', r"unknown key 'nmae'; known: name, network"),
        ('name = "a"\n[augment]\nrotate = 3', r"unknown key 'augment\.rotate'; known: rotation_deg"),
        ('name = "a"\n[crop]\nside = 3', r"unknown key 'crop\.side'"),
        ("name = 3", r"name must be str, but got 3"),
        ('name = "a"\nepochs = "ten"', r"epochs must be int, but got 'ten'"),
        ('name = "a"\nepochs = 2.5', r"epochs must be int, but got 2\.5"),
        ('name = "a"\nepochs = true', r"epochs must be int, but got True"),
        ('name = "a"\nlr = "fast"', r"lr must be float, but got 'fast'"),
        ('name = "a"\nalign = 1', r"align must be bool, but got 1"),
        ('name = "a"\n[augment]\nflip = "often"', r"augment\.flip must be float, but got 'often'"),
        ('name = "a"\ncrop = 64', r"crop must be "),
        ('name = "a"\n[heads]\nferplus = "much"', r"heads\.ferplus must be float, but got 'much'"),
        ('name = "a"\nheads = []', r"heads must be dict"),
        ('name = "a"\n[heads]\npain = 1.0', r"heads must be among ekman, fer2013, ferplus, own, but got pain"),
        ('name = "a"\n[heads]', r"heads must be among ekman, fer2013, ferplus, own, but got none"),
        ('name = "a"\nepochs = 0', r"epochs and batch must be at least 1"),
        ('name = "a"\nlr = 0', r"lr above 0"),
        ('name = "a"\nstd = 0', r"std"),
        ('name = "a"\noptimizer = "rmsprop"', r"optimizer must be one of adamw, adam, sgd, but got 'rmsprop'"),
        ('name = "a"\nteachers = [1]', r"teachers\[0\] must be str, but got 1"),
        ('name = "a"\nteachers = "one"', r"teachers must be a list, but got 'one'"),
        ('name = "a"\nteach = 1.5', r"teach must be from 0 to 1"),
        ('name = "a"\ndropout = 1', r"dropout must be at least 0 and below 1"),
        ('name = "a"\nclip = -1', r"clip must be at least 0"),
        ('name = "a"\nmixup = -1', r"mixup must be at least 0"),
        ('name = "a"\nfaces = -1', r"faces must be at least 0"),
        ('name = "a"\n[[stages]]\nepochs = 3', r"stages\[0\]\..*lr"),
        ('name = "a"\n[[stages]]\nepochs = 0\nlr = 1', r"stages\[0\]\..*epochs must be at least 1"),
        ('name = "a"\n[[stages]]\nepochs = 1\nlr = 1\nfreeze = 3', r"unknown key 'stages\[0\]\.freeze'"),
        ('name = "a"\n[crop]\nsize = 0', r"at least 1"),
        ('name = "a"\n[crop]\ncolour = "bgr"', r"crop\.colour must be one of gray, rgb, but got 'bgr'"),
        ("epochs = 3", r"name"),
        ("name = ", r"not a TOML file"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read_recipe(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_recipe_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not a TOML file"):
        read_recipe(tmp_path / "r.toml")


def test_the_default_recipe_says_every_strength() -> None:
    """So that a changed default does not change what the bundled model was trained with."""
    content = tomllib.loads(next(p for p in RECIPES if p.stem == "mien-lite0").read_text(encoding="utf-8"))
    assert set(content["augment"]) == set(Augmentation.__dataclass_fields__)


def test_a_start_says_its_network(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "a"\nstart = "mien-small"\npretrained = false\n')
    recipe = read_recipe(path)
    own = read_spec(find_model("mien-small")).recipe
    assert (recipe.network, recipe.crop.size, recipe.mean, recipe.std) == (
        "mien-small",
        own["crop"]["size"],
        own["mean"],
        own["std"],
    )
    assert read_recipe(path, ["network=p0-arch1"]).network == "p0-arch1"
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text('{"name": "b", "network": "p0-arch1", "mean": 0.4}')
    of_a_run = read_recipe(path, [f'start="{run}"'])
    assert (of_a_run.network, of_a_run.mean) == ("p0-arch1", 0.4)
