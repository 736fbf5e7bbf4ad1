"""A training run: recipe in, run folder out.

    RUN/recipe.json      the recipe as it was resolved, with versions, commit, and sha256 of published weights that it started from
    RUN/metrics.csv      one row per epoch: losses and scores, in training and on PublicTest
    RUN/timing.csv       one row per epoch: seconds on the clock, of the CPU, of the GPU where there is one
    RUN/last.ckpt        everything that is needed to go on (weights, averages, optimiser, schedule, step)
    RUN/best.ckpt        the epoch with the best score on PublicTest
    RUN/epoch-N.ckpt     averaged weights after epoch N, for each N of the recipe's `keep`

All that is random in a step comes from the seed and the number of the step, and all that is random in an epoch from the seed and
the number of the epoch: a run that was stopped and resumed is the run that was never stopped.
"""

import csv
import ctypes
import dataclasses
import json
import logging
import math
import os
import platform
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from numpy.typing import NDArray
from torch import nn

import mien
from mien.emotion import network_input
from mien.errors import DataError
from mien.training.augment import Augment
from mien.training.damage import Damage
from mien.training.data import FaceSet, load_faces
from mien.training.evaluate import class_scores, cross_entropy
from mien.training.face_weights import is_graph_model, load_graph_model
from mien.training.layers import freeze_until
from mien.training.networks import ORIGINS, build
from mien.training.one_film import across_splits, small
from mien.training.recipe import Recipe, recipe_from
from mien.training.run_folder import ended_stages, kept_epoch, read_rows
from mien.training.start import WEIGHT_FILES, is_run, load_imagenet, start_from_bundle
from mien.training.teachers import teacher_targets
from mien.whole_file import whole_file

_MEANT = (
    "Checkpoint directory .* exists and is not empty",  # recipe.json is there before, and a run that goes on has all its files
    "The '.*_dataloader' does not have many workers",  # the faces are in memory: a worker would only copy them
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and torch
)
"""What is warned of in a run and meant so, or nothing that the user could change."""


class ExpressionTrainer(L.LightningModule):
    """The network, its averaged copy, and the training set on the device."""

    def __init__(
        self, recipe: Recipe, train: FaceSet, select: FaceSet, taught: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.network = build_network(recipe)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.start_sha256 = begin_from(self.network, recipe, train) if recipe.start else ""
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
        )
        self.averaged.requires_grad_(False)  # it follows, and is not trained itself
        self.augment, self.damage = Augment(recipe.augment), Damage(recipe.damage)
        self.train_set, self.select_set = train, select
        # The faces stay uint8 in memory and travel to the device once; they are data, not state, and kept out of checkpoints.
        self.register_buffer("faces", _planes(train.crops), persistent=False)
        for head in recipe.heads:
            own = train.targets(head)
            if not own.any() and not taught:
                raise DataError(f"no Training picture has a label of {head} ({', '.join(recipe.labels_of(head))})")
            total = own.sum(axis=0)
            share = np.maximum(total, 1) / max(1.0, float(total.sum()))
            weights = (
                np.where(total > 0, 1 / (share * len(share)), 0) if recipe.class_weights == "balanced" else np.ones(len(share))
            )
            facts = {"targets": own, "weights": weights, "lean": recipe.logit_adjustment * np.log(share)}
            for name, values in facts.items():
                self.register_buffer(f"{name}_{head}", torch.from_numpy(values.astype(np.float32)), persistent=False)
        for head, probabilities in (taught or {}).items():
            self.register_buffer(f"taught_{head}", torch.from_numpy(probabilities), persistent=False)
        self.taught_heads = tuple(taught or ())
        self.scores: list[float] = []  # of the epochs so far: by them a stage stops before its time
        self.generator = torch.Generator()

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of the averaged network for uint8 crops (N, 1, S, S)."""
        batch = crops.float().div(255).sub(self.recipe.mean).div(self.recipe.std)
        return dict(self.averaged(batch.contiguous(memory_format=torch.channels_last)))

    def on_train_batch_start(self, batch: torch.Tensor, batch_idx: int) -> None:
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(self.global_step)
        step_seed = (self.recipe.seed * 1_000_003 + self.global_step) & 0x7FFF_FFFF_FFFF
        torch.manual_seed(step_seed)  # dropout and drop path
        if self.generator.device != self.device:
            self.generator = torch.Generator(device=self.device)
        # Each of several processes changes its faces in its own way.
        self.generator.manual_seed(step_seed + 7_919 * self.global_rank)

    def training_step(self, rows: torch.Tensor, batch_idx: int) -> torch.Tensor:
        recipe = self.recipe
        # Pictures are changed and put right in single precision, whatever the network counts in.
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            faces = self.damage(self.augment(self.faces[rows].float() / 255, self.generator), self.generator)
            targets = {head: self._targets(head, rows) for head in recipe.heads}
            if recipe.mixup:
                share = float(np.random.default_rng([recipe.seed, self.global_step]).beta(recipe.mixup, recipe.mixup))
                other = torch.randperm(len(rows), generator=self.generator, device=self.device)
                faces = share * faces + (1 - share) * faces[other]
                targets = {name: share * t + (1 - share) * t[other] for name, t in targets.items()}
            batch = ((faces - recipe.mean) / recipe.std).contiguous(memory_format=torch.channels_last)
        loss = torch.zeros((), device=self.device)
        for name, logits in self.network(batch).items():
            goal = targets[name] * getattr(self, f"weights_{name}")
            part = -(goal * F.log_softmax(logits.float() + getattr(self, f"lean_{name}"), dim=1)).sum() / goal.sum().clamp(min=1)
            loss = loss + recipe.heads[name] * part
            counts = targets[name].sum(dim=1) > 0
            if counts.any():
                right = (logits.argmax(dim=1) == targets[name].argmax(dim=1))[counts].float().mean()
                self.log(f"train_{name}_accuracy", right, on_step=False, on_epoch=True, batch_size=int(counts.sum()))
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(rows))
        penalty = getattr(self.network, "penalty", None)  # a paper's price on large weights; it is left out of the log
        return loss if penalty is None else loss + penalty()

    def _targets(self, head: str, rows: torch.Tensor) -> torch.Tensor:
        """What the faces in `rows` are to be called: their own labels, smoothed where they are single, and the teachers' word."""
        own = getattr(self, f"targets_{head}")[rows]
        has = (own.sum(dim=1, keepdim=True) > 0).float()
        single = (own.max(dim=1, keepdim=True).values >= 1).float() if head != "ferplus" else 0.0
        smooth = self.recipe.label_smoothing * single
        own = own * (1 - smooth) + has * smooth / own.shape[1]
        if head not in self.taught_heads:
            return torch.as_tensor(own)
        # A face without a label of its own is learnt from the teachers alone.
        mine = has * (1 - self.recipe.teach)
        return torch.as_tensor(mine * own + (1 - mine) * getattr(self, f"taught_{head}")[rows])

    def on_train_batch_end(self, outputs: Any, batch: torch.Tensor, batch_idx: int) -> None:
        # A decay near 1 would keep the untrained start for long: the average begins short and grows (as TensorFlow's EMA does).
        steps = int(self.averaged.n_averaged)
        decay = min(self.recipe.average, (1 + steps) / (10 + steps))
        self.averaged.multi_avg_fn = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        self.averaged.update_parameters(self.network)

    def validation_step(self, rows: torch.Tensor, batch_idx: int) -> None:
        crops = _planes(self.select_set.crops[rows.cpu().numpy()]).to(self.device)
        with torch.autocast(self.device.type, enabled=False):  # scores are of single precision
            said = self(crops)
        for name, logits in said.items():
            self._found.setdefault(name, []).append(logits.float().cpu().numpy())

    def on_validation_epoch_start(self) -> None:
        self._found: dict[str, list[np.ndarray]] = {}

    def on_validation_epoch_end(self) -> None:
        scores = []
        for name, parts in self._found.items():
            truth, logits = self.select_set.truth(name), np.concatenate(parts)
            counts = truth >= 0
            found = class_scores(truth[counts], logits[counts].argmax(axis=1), len(self.recipe.labels_of(name)))
            self.log(f"{name}_accuracy", found["accuracy"], prog_bar=True)
            self.log(f"{name}_macro_f1", found["macro_f1"])
            self.log(f"{name}_loss", cross_entropy(logits, self.select_set.targets(name)))
            scores.append(found["accuracy"])
        score = self.trainer.strategy.broadcast(float(np.mean(scores)))  # of several processes all must see a stage end
        self.log("score", score)
        self.scores.append(score)

    def on_validation_end(self) -> None:
        self.trainer.should_stop = len(self._ends()) == len(self.recipe.parts)

    def on_fit_start(self) -> None:
        self.on_validation_end()  # a run that is at its end does not go on

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["scores"] = self.scores

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.scores = list(checkpoint.get("scores", ()))

    def _ends(self) -> list[int]:
        return ended_stages(self.recipe, self.scores)

    def on_train_epoch_start(self) -> None:
        ends = self._ends()
        if ends and ends[-1] == self.current_epoch:
            self.trainer.optimizers[0].state.clear()
        freeze_until(self.network, self.recipe.parts[len(ends)].train_last)

    def on_train_epoch_end(self) -> None:
        epoch = self.current_epoch + 1
        if epoch in self.recipe.keep and self.trainer.is_global_zero:
            weights = {f"averaged.module.{name}": value for name, value in self.averaged.module.state_dict().items()}
            torch.save({"state_dict": weights}, kept_epoch(Path(self.trainer.default_root_dir), epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True)
        if recipe.optimizer == "adam":
            return torch.optim.Adam(groups, lr=1.0, eps=1e-7)  # Keras's epsilon: the papers used its Adam
        return torch.optim.AdamW(groups, lr=1.0)

    def rate(self, step: int) -> float:
        """The learning rate of a step of the stage that the run is in."""
        recipe, ends = self.recipe, self._ends()
        per_epoch = -(-len(self.train_set) // (recipe.batch * int(self.trainer.world_size)))
        warm = max(1, round(recipe.warmup_epochs * per_epoch)) if recipe.warmup_epochs else 0
        stage = recipe.parts[len(ends)]
        steps, at = stage.epochs * per_epoch, step - (ends[-1] if ends else 0) * per_epoch
        if at < warm:
            return stage.lr * (at + 1) / warm
        if recipe.schedule == "constant":
            return stage.lr
        return stage.lr * 0.5 * (1 + math.cos(math.pi * (at - warm) / max(1, steps - warm)))

    def train_dataloader(self) -> Any:
        order = epoch_order(self.train_set, self.recipe, self.current_epoch)
        return _Rows(order, self.recipe.batch, rank=self.trainer.global_rank, world=self.trainer.world_size)

    def val_dataloader(self) -> Any:
        # Every process of several judges the whole selection split: it is small, and all must agree on the best epoch.
        return _Rows(np.arange(len(self.select_set)), 256)


def epoch_order(faces: FaceSet, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
    """The rows of the training set in the order of one epoch, from the seed and the number of the epoch.

    With balanced sampling each class of the first head is drawn as often, with replacement, and a face without a label never.
    """
    rng = np.random.default_rng((recipe.seed, epoch))
    if recipe.sampling == "natural":
        return rng.permutation(len(faces))
    targets = faces.targets(next(iter(recipe.heads)))
    label = np.where(targets.any(axis=1), targets.argmax(axis=1), -1)
    count = np.bincount(label[label >= 0], minlength=targets.shape[1])
    chance = np.where(label >= 0, 1 / np.maximum(count[label], 1), 0)
    return rng.choice(len(faces), len(faces), p=chance / chance.sum())


def _planes(crops: NDArray[np.uint8]) -> torch.Tensor:
    """Crops (N, S, S) or (N, S, S, 3) as uint8 planes (N, C, S, S)."""
    planes = torch.from_numpy(np.array(crops))
    return planes[:, None] if planes.ndim == 3 else planes.permute(0, 3, 1, 2).contiguous()


class _Rows(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Batches of row numbers in a given order. The faces themselves are picked on the device.

    Of several processes each takes its share of every batch's rows, and all the same number of batches: the last is filled up from
    the front.
    """

    def __init__(self, order: NDArray[np.int64], batch: int, *, rank: int = 0, world: int = 1) -> None:
        step = batch * world
        if world > 1:
            order = np.concatenate([order, np.resize(order, -len(order) % step)])
        self.batches = [
            torch.from_numpy(order[i : i + step][rank * batch : (rank + 1) * batch]) for i in range(0, len(order), step)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.batches)


class _Checkpoint(ModelCheckpoint):
    """A ModelCheckpoint that still knows its best score when the run folder was moved or copied since."""

    @property
    def state_key(self) -> str:
        return str(super().state_key).replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"best_k_models": models, "dirpath": self.dirpath})


class _Log(Callback):
    """metrics.csv and timing.csv, a row per epoch, rewritten whole each time so that a kill leaves the last whole one.

    Times stand apart, so that metrics.csv of a run that was stopped and resumed is, byte for byte, that of one that was not.
    """

    def __init__(self, run: Path, epoch_told: Callable[[str], None]) -> None:
        self.epoch_told = epoch_told
        self.metrics, self.timing = run / "metrics.csv", run / "timing.csv"
        self.rows: dict[Path, list[dict[str, Any]]] = {path: [*read_rows(path)] for path in (self.metrics, self.timing)}
        self.started = self.cpu = 0.0
        self.events: list[Any] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started, self.cpu = time.perf_counter(), time.process_time()
        if pl_module.device.type == "cuda":
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.events[0].record()
        for path, rows in self.rows.items():
            self.rows[path] = [row for row in rows if int(row["epoch"]) < trainer.current_epoch + 1]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = {name: f"{float(value):.6f}" for name, value in sorted(trainer.callback_metrics.items())}
        gpu = ""
        if self.events:
            self.events[1].record()
            torch.cuda.synchronize()
            gpu = f"{self.events[0].elapsed_time(self.events[1]) / 1000:.1f}"
        clock, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
        epoch = {"epoch": trainer.current_epoch + 1}
        timing = {"seconds": f"{clock:.1f}", "cpu_seconds": f"{cpu:.1f}", "gpu_seconds": gpu, "device": str(pl_module.device.type)}
        if trainer.is_global_zero:
            self._write(self.metrics, epoch | found)
            self._write(self.timing, epoch | timing)
            done = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            self.epoch_told(f"{done}: training loss {found['train_loss']}, PublicTest {float(found['score']):.4f}, {clock:.0f} s")

    def _write(self, path: Path, row: dict[str, Any]) -> None:
        self.rows[path].append(row)
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.rows[path])


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    threads: int = 1,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    precision: str = "32-true",
    layout: str = "auto",
    progress: bool = True,
    epoch_told: Callable[[str], None] = lambda line: None,
    warned: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train `recipe` on the faces in `data` into the folder `run`; gives back `run`.

    accelerator, devices, nodes, strategy and precision are Lightning's own (`accelerator`, `devices`, `num_nodes`, …): with several
    devices a batch of the recipe goes to each of them. `layout` says how `data` is laid out (see `load_faces`).
    `epoch_told` hears a line after each epoch, `warned` before the first one what the figures must not be believed for.

    `resume` goes on after the last whole epoch of the same recipe. Raises `DataError`, also where `run` already holds a run and
    `resume` is off, or where its recipe is another one.
    """
    checkpoint = run / "last.ckpt"
    first = is_first()  # of several processes the first makes the folder
    if run.exists() and any(run.iterdir()) and (first or resume):
        if not resume:
            raise DataError(f"{run}: holds a run already; add --resume to go on with it or give another folder")
        before = run_recipe(run)
        if before.labels:
            recipe = recipe.learning(before.labels)
        if dataclasses.replace(before, description=recipe.description) != recipe:
            changed = [key for key, value in before.to_json().items() if recipe.to_json()[key] != value]
            raise DataError(f"{run}: was begun with another recipe ({', '.join(changed)} differ); give another folder")
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # it advertises
    tune_malloc()
    faces = load_faces(data, recipe.crop, align=recipe.align, splits=("Training", "PublicTest"), layout=layout)
    recipe = recipe.learning(faces.names)
    for split in ("Training", "PublicTest"):
        if not (faces.split == split).any():
            raise DataError(f"{data}: has no picture in the split {split}; wanted some to train on and some to choose by")
    for line in across_splits(faces.source.tolist(), faces.split.tolist(), faces.names, np.stack([small(c) for c in faces.crops])):
        warned(line)
    run.mkdir(parents=True, exist_ok=True)
    learnt = faces.of("Training")
    rows = learnt_rows(learnt, recipe)
    learnt = learnt[rows]
    taught = {head: said[rows] for head, said in _taught(recipe, data, run, layout).items()}
    module = ExpressionTrainer(recipe, learnt, faces.of("PublicTest"), taught)
    facts = {"recipe": recipe.to_json(), "versions": versions(), "commit": commit(), "faces": len(learnt), "precision": precision}
    if module.start_sha256:
        facts["start_sha256"] = module.start_sha256
    if first:
        (run / "recipe.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    best = _Checkpoint(run, filename="best", monitor="score", mode="max", enable_version_counter=False)
    last = _Checkpoint(run, filename="last", monitor=None, every_n_epochs=1, enable_version_counter=False)
    last.CHECKPOINT_NAME_LAST = "last"
    callbacks: list[Callback] = [best, last, _Log(run, epoch_told)]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    trainer = L.Trainer(
        max_epochs=sum(stage.epochs for stage in recipe.parts),
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=precision,
        callbacks=callbacks,
        logger=False,
        default_root_dir=run,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        enable_progress_bar=progress,
        enable_model_summary=False,
        gradient_clip_val=recipe.clip or None,
    )
    with warnings.catch_warnings():
        for meant in _MEANT:
            warnings.filterwarnings("ignore", message=meant)
        trainer.fit(module, ckpt_path=checkpoint if resume and checkpoint.is_file() else None, weights_only=False)
    return run


def is_first() -> bool:
    """Whether this process is the first of those that train together, or the only one: it alone writes and tells."""
    return rank_zero_only.rank in (None, 0)


def learnt_rows(faces: FaceSet, recipe: Recipe) -> NDArray[np.int64]:
    """Which of the Training faces a run learns from: those with a label of one of its heads, or all where teachers speak of each.

    Where `recipe.faces` is set, so many of them, drawn by the seed. Rising.
    """
    if recipe.teachers:
        rows = np.arange(len(faces))
    else:
        rows = np.flatnonzero(np.any([faces.targets(head).any(axis=1) for head in recipe.heads], axis=0))
    if 0 < recipe.faces < len(rows):
        rows = rows[np.sort(np.random.default_rng(recipe.seed).choice(len(rows), recipe.faces, replace=False))]
    return rows


def _taught(recipe: Recipe, data: Path, run: Path, layout: str) -> dict[str, NDArray[np.float32]]:
    """What the teachers say of each Training face; kept in the run folder, so that a run that goes on learns the same."""
    if not recipe.teachers:
        return {}
    kept = run / "teachers.npz"
    if not kept.is_file():
        asked: dict[str, Any] = {"temperature": recipe.teacher_temperature, "own": recipe.labels, "layout": layout}
        found = teacher_targets(recipe.teachers, data, tuple(recipe.heads), **asked)
        with whole_file(kept) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **found)
    with np.load(kept) as file:
        return {name: file[name] for name in file.files}


def run_recipe(run: Path) -> Recipe:
    """The recipe of a run folder. Raises `DataError`."""
    path = run / "recipe.json"
    try:
        return recipe_from(json.loads(path.read_text(encoding="utf-8"))["recipe"], str(path))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run}: wanted a run folder with recipe.json, but it cannot be read: {error}") from error


def averaged_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights in a checkpoint, by the network's own names. Raises `DataError`."""
    if not checkpoint.is_file():
        raise DataError(f"{checkpoint}: there is no such checkpoint; has the run finished an epoch?")
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    prefix = "averaged.module."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def averaged_network(run: Path) -> nn.Module:
    """The network of a run with the averaged weights of its best epoch, ready to evaluate. Raises `DataError`."""
    network = build_network(dataclasses.replace(run_recipe(run), pretrained=False))
    network.load_state_dict(averaged_weights(run / "best.ckpt"))
    return network.eval()


def build_network(recipe: Recipe) -> nn.Module:
    """The network of a recipe with its first weights. Raises `ModelError`."""
    origin = ORIGINS.get(recipe.network)
    if recipe.pretrained and not recipe.start and origin is not None and origin.imagenet == "file":
        raise DataError(
            f'{recipe.network}: has no package that carries its ImageNet weights; give the place of a file (start = "FILE") or '
            "pretrained = false"
        )
    options: dict[str, Any] = {"pretrained": recipe.pretrained, "drop_path": recipe.drop_path}
    if recipe.dropout is not None:
        options["dropout"] = recipe.dropout
    counts = {name: len(recipe.labels_of(name)) for name in recipe.heads}
    return build(recipe.network, counts, recipe.crop.size, channels=1 if recipe.crop.colour == "gray" else 3, **options)


def begin_from(network: nn.Module, recipe: Recipe, faces: FaceSet) -> str:
    """Give the network the weights that `recipe.start` names: a run's, a bundle's, or those of a published file.

    Gives back the sha256 of a published file, "" for the others, whose folders say what they are. Raises `DataError`, `ModelError`.
    """
    if is_run(recipe.start):
        _go_on_from(network, averaged_weights(Path(recipe.start) / "best.ckpt"), recipe)
        return ""
    path, graph_model = Path(recipe.start), is_graph_model(recipe.start)
    if path.suffix in WEIGHT_FILES and not path.is_file():
        raise DataError(f"{path}: there is no such file; wanted the weights that the recipe starts from")
    if path.is_file() and not graph_model:
        return load_imagenet(network, path, mean=recipe.mean, std=recipe.std, adapt=recipe.adapt_start)
    some = torch.from_numpy(network_input(faces.crops[:: max(1, len(faces) // 256)], recipe.mean, recipe.std))
    if graph_model:
        return load_graph_model(network, path, some, mean=recipe.mean, std=recipe.std)
    start_from_bundle(network, recipe.start, some)
    return ""


def _go_on_from(network: nn.Module, weights: dict[str, torch.Tensor], recipe: Recipe) -> None:
    """Gives the network a run's weights; a head that the run does not have, or of other words, keeps its first ones."""
    before = run_recipe(Path(recipe.start))
    same = {head for head in before.heads if head in recipe.heads and before.labels_of(head) == recipe.labels_of(head)}
    own = network.state_dict()
    kept = {name: value for name, value in own.items() if name.startswith("heads.") and name.split(".")[1] not in same}
    taken = {name: value for name, value in weights.items() if not name.startswith("heads.") or name.split(".")[1] in same}
    network.load_state_dict(kept | taken)


def versions() -> dict[str, str]:
    """Versions of what a run's figures hang on."""
    found = {"mien": mien.__version__, "python": platform.python_version(), "numpy": np.__version__}
    return found | {"torch": torch.__version__, "lightning": L.__version__, "machine": platform.machine()}


def commit() -> str:
    """The commit of the checkout that mien runs from, "unknown" outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def tune_malloc() -> None:
    """Keep freed memory in the process (glibc): a training step asks for the same blocks again and again. Up to a third faster."""
    if platform.system() != "Linux" or os.environ.get("MALLOC_TRIM_THRESHOLD_"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library: nothing is lost but speed
    m_trim_threshold, m_mmap_max = -1, -4
    mallopt(m_trim_threshold, 2**31 - 1)
    mallopt(m_mmap_max, 0)
