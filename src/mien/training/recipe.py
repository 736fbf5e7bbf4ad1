"""What a training run is made of: a TOML file as a frozen record. Needs no torch, so that a recipe can be read anywhere."""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mien.crop import CropSpec
from mien.errors import DataError
from mien.labels import FERPLUS, LABEL_SETS, OWN
from mien.models import find_model, known_models, read_spec


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strengths of the random changes, by the names of `mien.training.augment.Augment`; 0 switches one off."""

    rotation_deg: float = 15.0
    shift: float = 0.08
    zoom: float = 0.12
    shear: float = 0.08
    stretch: float = 0.0
    flip: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.25
    gamma: float = 0.2
    noise: float = 0.03
    blur: float = 0.1
    monochrome: float = 0.0
    erase: float = 0.4


@dataclass(frozen=True, slots=True)
class Damages:
    """Shares of the faces that are damaged in one way each, by the names of `mien.training.damage`; the rest stays as it is."""

    defocus: float = 0.0
    motion: float = 0.0
    small: float = 0.0
    dark: float = 0.0
    noise: float = 0.0
    exposure: float = 0.0
    side_light: float = 0.0
    haze: float = 0.0
    compression: float = 0.0
    cover: float = 0.0
    turn: float = 0.0

    def __post_init__(self) -> None:
        shares = asdict(self)
        for name, share in shares.items():
            if share < 0:
                raise ValueError(f"{name} must be at least 0, but got {share}")
        if sum(shares.values()) > 1:
            raise ValueError(f"the shares of damage must be at most 1 together, but are {sum(shares.values()):g}")


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run with a rate of its own (P3's 100 + 2 epochs, P4's two stages). The optimiser begins each one afresh.

    train_last  how many layers with weights, counted from the end, are trained; the others are frozen. 0 trains all
    """

    epochs: int
    lr: float
    train_last: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.lr > 0 or self.train_last < 0:
            given = f"{self.epochs}, {self.lr}, {self.train_last}"
            raise ValueError(f"a stage's epochs must be at least 1, lr above 0 and train_last at least 0, but got {given}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    network, pretrained     which network, and whether it starts from ImageNet weights that its package carries
    start                   run folder, bundle or file of published weights (.pth, .h5) that it starts from instead; empty for none.
                            A run or bundle also says the network, crop, mean and std, where a recipe names no network
    adapt_start             whether the first layer is adapted so that published weights get pictures as they were trained on; false
                            gives them the recipe's own (P4: pixels / 255)
    heads                   label set → weight of its loss; "ferplus" learns the raters' votes where there are any, "own" the words
                            that the data has. Where mien does not know all of these, "own" alone is learnt, without teachers
    labels                  the words of "own" in their order: of a run they are those of its data; empty in a recipe
    epochs, lr              how long, and the highest rate
    stages                  parts of the run with epochs and lr of their own, instead of epochs and lr
    schedule                "cosine": decay to 0 over each stage, after `warmup_epochs`; "constant"
    optimizer               "adamw", "adam" or "sgd" (Nesterov, momentum 0.9)
    dropout                 instead of the network's own rates
    clip                    the largest norm of a step's gradient: a longer one is shortened to it; 0 leaves it as it is
    average                 decay per step of the averaged weights (EMA), which are evaluated and exported; 0 for none
    mixup                   alpha of the Beta distribution that mixes pairs of faces; 0 for none
    label_smoothing         for the single labels only: the votes are soft by themselves
    class_weights           "balanced" lets each class weigh the same in the loss
    sampling                "balanced" draws each class of the first head as often
    logit_adjustment        tau of the logit-adjusted loss (Menon et al. 2021); 0 for none
    teachers                bundles whose mean opinion of each face is learnt beside its labels (distillation)
    teach                   the teachers' share of the targets, from 0 to 1; of the heads that they have
    teacher_temperature     above 1 softens what they say
    stop_after              epochs without a better score after which a stage stops, and the next begins; 0 for never
    keep                    epochs after which the weights are kept, besides those of the best and of the last
    faces                   how many Training faces are learnt from, drawn by the seed; 0 for all
    align                   whether landmarks frame the pictures, or the pictures are used whole
    damage                  what is done to some of the faces after their augmentation; what they are to be called stays, and what
                            `teachers` say is of the face as it was: so a network learns to say of a bad picture what it would of
                            the good one
    """

    name: str
    network: str = "efficientnet-lite0"
    pretrained: bool = True
    start: str = ""
    adapt_start: bool = True
    heads: dict[str, float] = field(default_factory=lambda: {"ferplus": 1.0, "fer2013": 0.5})
    labels: tuple[str, ...] = ()
    epochs: int = 10
    lr: float = 1e-3
    stages: tuple[Stage, ...] = ()
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.5
    batch: int = 64
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: float = 0.02
    dropout: float | None = None
    drop_path: float = 0.2
    clip: float = 1.0
    average: float = 0.999
    mixup: float = 0.2
    label_smoothing: float = 0.1
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["natural", "balanced"] = "natural"
    logit_adjustment: float = 0.0
    teachers: tuple[str, ...] = ()
    teach: float = 0.5
    teacher_temperature: float = 1.0
    stop_after: int = 0
    keep: tuple[int, ...] = ()
    faces: int = 0
    seed: int = 1
    align: bool = True
    mean: float = 0.5
    std: float = 0.25
    description: str = ""
    crop: CropSpec = field(default_factory=CropSpec)
    augment: Augmentation = field(default_factory=Augmentation)
    damage: Damages = field(default_factory=Damages)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.lr <= 0:
            raise ValueError(f"epochs and batch must be at least 1 and lr above 0, but got {self.epochs}, {self.batch}, {self.lr}")
        if not 0 <= self.teach <= 1 or not self.teacher_temperature > 0:
            raise ValueError(
                f"teach must be from 0 to 1 and teacher_temperature above 0, but got {self.teach}, {self.teacher_temperature}"
            )
        shares = {"average": self.average, "label_smoothing": self.label_smoothing, "dropout": self.dropout or 0.0}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, but got {share}")
        for name in ("mixup", "logit_adjustment", "stop_after", "faces", "warmup_epochs", "weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, but got {getattr(self, name)}")
        unknown = set(self.heads) - {*LABEL_SETS, OWN}
        if not self.std > 0:
            raise ValueError(f"std must be above 0, but got {self.std}")
        if unknown or not self.heads:
            raise ValueError(f"heads must be among {', '.join((*LABEL_SETS, OWN))}, but got {', '.join(sorted(unknown)) or 'none'}")

    @property
    def parts(self) -> tuple[Stage, ...]:
        """The stages, or the one that epochs and lr make."""
        return self.stages or (Stage(self.epochs, self.lr),)

    def labels_of(self, head: str) -> tuple[str, ...]:
        """The K labels of a head, in order. Raises `DataError` for "own" before it is known which words the data has."""
        if head == OWN and not self.labels:
            raise DataError(f"{self.name}: its head {OWN} has the words of its data, which the recipe does not tell; give labels")
        return self.labels if head == OWN else LABEL_SETS[head]

    def learning(self, names: Sequence[str]) -> "Recipe":
        """This recipe for data with these words: where mien does not know them all, they are what is learnt (see `heads`).

        Raises `DataError` where the recipe names other words.
        """
        strange = not set(names) <= set(FERPLUS)
        if OWN not in self.heads and not strange:
            return self
        if self.labels not in ((), tuple(names)):
            raise DataError(f"{self.name}: wanted pictures of {', '.join(self.labels)}, but the data has {', '.join(names)}")
        if OWN in self.heads:
            return dataclasses.replace(self, labels=tuple(names))
        return dataclasses.replace(self, heads={OWN: 1.0}, labels=tuple(names), teachers=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, from which `recipe_from` makes the same recipe."""
        return typing.cast(dict[str, Any], json.loads(json.dumps(asdict(self))))


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe from TOML, with `changes` as "lr=0.01" or "augment.flip=0" made to it.

    Raises `DataError` for an unknown key, a wrong kind of value or a file that cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # the latter of brackets in brackets
        raise DataError(f"{path}: not a TOML file: {error}") from error
    for change in changes:
        _change(content, change)
    content = _as_its_start(content) | content
    return recipe_from(content, f"{path} with {', '.join(changes)}" if changes else str(path))


_OF_A_START = ("network", "crop", "mean", "std")


def _as_its_start(content: dict[str, Any]) -> dict[str, Any]:
    """What a recipe leaves out of the network and its input, as the run or bundle has it that it starts from."""
    start = content.get("start")
    if "network" in content or not isinstance(start, str) or not start or Path(start).is_file():
        return {}
    run = Path(start) / "recipe.json"
    if run.is_file():
        try:
            found = json.loads(run.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{run}: cannot be read: {error}") from error
    elif start in known_models() or (Path(start) / "model.json").is_file():
        found = read_spec(find_model(start)).recipe
    else:
        return {}  # what begins from it says what is missing
    return {key: found[key] for key in _OF_A_START if key in found}


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not last:
        raise DataError(f"wanted a change such as lr=0.01 or augment.flip=0, but got {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word needs no quotation marks here
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise DataError(f"{change!r}: {table} is no table of the recipe")
    content[last] = value


def recipe_from(content: dict[str, Any], where: str) -> Recipe:
    """A recipe from plain values, as `Recipe.to_json` gives them. Raises `DataError` that names `where` and the key."""
    return typing.cast(Recipe, _record(Recipe, content, where, ""))


def _record(kind: type[Any], content: dict[str, Any], where: str, prefix: str) -> Any:
    names = [f.name for f in dataclasses.fields(kind)]
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in names:
            raise DataError(f"{where}: unknown key {prefix + key!r}; known: {', '.join(names)}")
    values = {key: _value(hints[key], value, where, prefix + key) for key, value in content.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {prefix}{error}" if prefix else f"{where}: {error}") from error


def _value(wanted: Any, value: Any, where: str, key: str) -> Any:
    """`value` as the kind `wanted` of a record's field. Raises `DataError` that names the key."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:  # "… | None": a key that is left out, or null in recipe.json
        return None if value is None else _value(next(p for p in parts if p is not types.NoneType), value, where, key)
    if origin is Literal:
        if value not in parts:
            raise DataError(f"{where}: {key} must be one of {', '.join(map(str, parts))}, but got {value!r}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(parts[0], item, where, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {name: _value(parts[1], item, where, f"{key}.{name}") for name, item in value.items()}
    if dataclasses.is_dataclass(wanted) and isinstance(value, dict):
        return _record(typing.cast(type[Any], wanted), value, where, f"{key}.")
    if wanted is float and type(value) is int:
        return float(value)
    plain = origin or wanted
    if type(value) is not plain:
        kind = "a table" if dataclasses.is_dataclass(plain) else "a list" if plain is tuple else plain.__name__
        raise DataError(f"{where}: {key} must be {kind}, but got {value!r}")
    return value
