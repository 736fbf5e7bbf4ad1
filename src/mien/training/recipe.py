"""What a training run is made of: a TOML file as a frozen record. Needs no torch, so that a recipe can be read anywhere."""

import dataclasses
import tomllib
import types
import typing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien.crop import CropSpec
from mien.errors import DataError


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strengths of the random changes, by the names of `mien.training.augment.Augment`; 0 switches one off."""

    rotation_deg: float = 15.0
    shift: float = 0.08
    zoom: float = 0.12
    shear: float = 0.08
    flip: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.25
    gamma: float = 0.2
    noise: float = 0.03
    blur: float = 0.1
    erase: float = 0.4


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    network, pretrained     which network, and whether it starts from ImageNet weights
    start                   run folder or bundle whose weights it starts from instead; empty for none
    heads                   label set → weight of its loss; "ferplus" learns the raters' votes, "fer2013" the single labels
    epochs, batch, lr       AdamW with cosine decay to 0 after `warmup_epochs`
    average                 decay per step of the averaged weights that are evaluated and exported (EMA)
    mixup                   alpha of the Beta distribution that mixes pairs of faces; 0 for none
    label_smoothing         for the single labels only: the votes are soft by themselves
    teachers                bundles whose mean opinion of each face is learnt beside its labels (distillation)
    teach                   the teachers' share of the targets, from 0 to 1; of the heads that they have
    teacher_temperature     above 1 softens what they say
    align                   whether landmarks frame the pictures, or the pictures are used whole
    """

    name: str
    network: str = "efficientnet-lite0"
    pretrained: bool = True
    start: str = ""
    heads: dict[str, float] = field(default_factory=lambda: {"ferplus": 1.0, "fer2013": 0.5})
    epochs: int = 10
    warmup_epochs: float = 0.5
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    drop_path: float = 0.2
    average: float = 0.999
    mixup: float = 0.2
    label_smoothing: float = 0.1
    teachers: tuple[str, ...] = ()
    teach: float = 0.5
    teacher_temperature: float = 1.0
    seed: int = 1
    align: bool = True
    mean: float = 0.5
    std: float = 0.25
    description: str = ""
    crop: CropSpec = field(default_factory=CropSpec)
    augment: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.lr <= 0:
            raise ValueError(f"epochs and batch must be at least 1 and lr above 0, but got {self.epochs}, {self.batch}, {self.lr}")
        if self.crop.colour != "gray":
            raise ValueError(f"crop.colour must be 'gray', for the data and the networks are, but got {self.crop.colour!r}")
        if not 0 <= self.teach <= 1 or not self.teacher_temperature > 0:
            raise ValueError(
                f"teach must be from 0 to 1 and teacher_temperature above 0, but got {self.teach}, {self.teacher_temperature}"
            )
        unknown = set(self.heads) - {"ferplus", "fer2013"}
        if not self.std > 0:
            raise ValueError(f"std must be above 0, but got {self.std}")
        if unknown or not self.heads:
            raise ValueError(f"heads must be among ferplus, fer2013, but got {', '.join(sorted(unknown)) or 'none'}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_recipe(path: Path) -> Recipe:
    """A recipe from TOML. Raises `DataError` for an unknown key, a wrong kind of value or a file that cannot be read."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file: {error}") from error
    return recipe_from(content, str(path))


def recipe_from(content: dict[str, Any], where: str) -> Recipe:
    """A recipe from plain values, as `Recipe.to_json` gives them. Raises `DataError` that names `where` and the key."""
    return typing.cast(Recipe, _record(Recipe, content, where, ""))


def _record(kind: type[Any], content: dict[str, Any], where: str, prefix: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in content.items():
        if key not in fields:
            raise DataError(f"{where}: unknown key {prefix + key!r}; known: {', '.join(fields)}")
        wanted = hints[key]
        if dataclasses.is_dataclass(wanted) and isinstance(value, dict):
            values[key] = _record(typing.cast(type[Any], wanted), value, where, f"{prefix}{key}.")
            continue
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if typing.get_origin(wanted) is tuple and isinstance(value, list):
            item = typing.get_args(wanted)[0]
            if not all(type(part) is item for part in value):
                raise DataError(f"{where}: {prefix}{key} must be a list of {item.__name__}, but got {value!r}")
            value = tuple(value)
        plain = wanted.__origin__ if isinstance(wanted, types.GenericAlias) else wanted
        if typing.get_origin(wanted) is not typing.Literal and type(value) is not plain:
            raise DataError(f"{where}: {prefix}{key} must be {plain.__name__}, but got {value!r}")
        if plain is dict:
            for name, weight in value.items():
                if type(weight) not in (int, float):
                    raise DataError(f"{where}: {prefix}{key}.{name} must be float, but got {weight!r}")
            value = {name: float(weight) for name, weight in value.items()}
        values[key] = value
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
