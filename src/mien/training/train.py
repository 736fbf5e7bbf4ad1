"""A training run: recipe in, run folder out.

    RUN/recipe.json      the recipe as it was resolved, with versions and commit
    RUN/metrics.csv      one row per epoch: losses, scores on PublicTest, seconds
    RUN/last.ckpt        everything that is needed to go on (weights, averages, optimiser, schedule, step)
    RUN/best.ckpt        the epoch with the best score on PublicTest

All that is random in a step comes from the seed and the number of the step, and all that is random in an epoch from the seed and
the number of the epoch: a run that was stopped and resumed is the run that was never stopped.
"""

import csv
import ctypes
import json
import logging
import os
import platform
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from numpy.typing import NDArray
from torch import nn

import mien
from mien.emotion import network_input
from mien.errors import DataError
from mien.labels import FER2013, LABEL_SETS
from mien.training.augment import Augment
from mien.training.data import FaceSet, load_faces, strict_labels, vote_targets
from mien.training.evaluate import class_scores
from mien.training.networks import build
from mien.training.recipe import Recipe, recipe_from
from mien.training.start import is_run, start_from_bundle
from mien.training.teachers import teacher_targets

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
        counts = {name: len(LABEL_SETS[name]) for name in recipe.heads}
        torch.manual_seed(recipe.seed)
        options = {"pretrained": recipe.pretrained, "dropout": recipe.dropout, "drop_path": recipe.drop_path}
        self.network = build(recipe.network, counts, recipe.crop.size, **options)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.start and is_run(recipe.start):
            self.network.load_state_dict(averaged_weights(Path(recipe.start) / "best.ckpt"))
        elif recipe.start:
            some = torch.from_numpy(network_input(train.crops[:: max(1, len(train) // 256)], recipe.mean, recipe.std))
            start_from_bundle(self.network, recipe.start, some)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
        )
        self.augment = Augment(recipe.augment)
        self.train_set, self.select_set = train, select
        # The faces stay uint8 in memory and travel to the device once; they are data, not state, and kept out of checkpoints.
        self.register_buffer("faces", torch.from_numpy(np.array(train.crops))[:, None], persistent=False)
        votes, usable = vote_targets(train.votes)
        self.register_buffer("votes", torch.from_numpy(votes * usable[:, None]), persistent=False)
        self.register_buffer("labels", torch.from_numpy(np.array(train.fer2013)), persistent=False)
        for head, probabilities in (taught or {}).items():
            self.register_buffer(f"taught_{head}", torch.from_numpy(probabilities), persistent=False)
        self.taught_heads = tuple(taught or ())
        self.generator = torch.Generator()

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of the averaged network for uint8 crops (N, 1, S, S)."""
        batch = crops.float().div(255).sub(self.recipe.mean).div(self.recipe.std)
        return dict(self.averaged(batch.contiguous(memory_format=torch.channels_last)))

    def on_train_batch_start(self, batch: torch.Tensor, batch_idx: int) -> None:
        step_seed = (self.recipe.seed * 1_000_003 + self.global_step) & 0x7FFF_FFFF_FFFF
        torch.manual_seed(step_seed)  # dropout and drop path
        if self.generator.device != self.device:
            self.generator = torch.Generator(device=self.device)
        self.generator.manual_seed(step_seed)

    def training_step(self, rows: torch.Tensor, batch_idx: int) -> torch.Tensor:
        with torch.no_grad():
            faces = self.augment(self.faces[rows].float() / 255, self.generator)
            targets = {}
            if "ferplus" in self.recipe.heads:
                targets["ferplus"] = self.votes[rows]
            if "fer2013" in self.recipe.heads:
                labels = self.labels[rows]
                hard = F.one_hot(labels.clamp(min=0), len(FER2013)).float() * (labels >= 0)[:, None]
                smooth = self.recipe.label_smoothing
                targets["fer2013"] = hard * (1 - smooth) + hard.sum(dim=1, keepdim=True) * smooth / len(FER2013)
            for head in self.taught_heads:
                given, share = getattr(self, f"taught_{head}")[rows], self.recipe.teach
                # A face without a label of its own is learnt from the teachers alone.
                own = (targets[head].sum(dim=1, keepdim=True) > 0).float() * (1 - share)
                targets[head] = own * targets[head] + (1 - own) * given
            if self.recipe.mixup:
                share = float(
                    np.random.default_rng([self.recipe.seed, self.global_step]).beta(self.recipe.mixup, self.recipe.mixup)
                )
                other = torch.randperm(len(rows), generator=self.generator, device=self.device)
                faces = share * faces + (1 - share) * faces[other]
                targets = {name: share * t + (1 - share) * t[other] for name, t in targets.items()}
            batch = ((faces - self.recipe.mean) / self.recipe.std).contiguous(memory_format=torch.channels_last)
        loss = torch.zeros((), device=self.device)
        for name, logits in self.network(batch).items():
            part = -(targets[name] * F.log_softmax(logits.float(), dim=1)).sum() / targets[name].sum().clamp(min=1)
            loss = loss + self.recipe.heads[name] * part
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(rows))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: torch.Tensor, batch_idx: int) -> None:
        # A decay near 1 would keep the untrained start for long: the average begins short and grows (as TensorFlow's EMA does).
        steps = int(self.averaged.n_averaged)
        decay = min(self.recipe.average, (1 + steps) / (10 + steps))
        self.averaged.multi_avg_fn = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        self.averaged.update_parameters(self.network)

    def validation_step(self, rows: torch.Tensor, batch_idx: int) -> None:
        crops = torch.from_numpy(np.array(self.select_set.crops[rows.cpu().numpy()]))[:, None].to(self.device)
        for name, logits in self(crops).items():
            self._found.setdefault(name, []).append(logits.float().cpu().numpy())

    def on_validation_epoch_start(self) -> None:
        self._found: dict[str, list[np.ndarray]] = {}

    def on_validation_epoch_end(self) -> None:
        scores = []
        truths = {"ferplus": strict_labels(self.select_set.votes), "fer2013": self.select_set.fer2013}
        for name, parts in self._found.items():
            truth, said = truths[name], np.concatenate(parts).argmax(axis=1)
            counts = truth >= 0
            found = class_scores(truth[counts], said[counts], len(LABEL_SETS[name]))
            self.log(f"{name}_accuracy", found["accuracy"], prog_bar=True)
            self.log(f"{name}_macro_f1", found["macro_f1"])
            scores.append(found["accuracy"])
        self.log("score", float(np.mean(scores)))

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.recipe.lr,
        )
        per_epoch = -(-len(self.train_set) // self.recipe.batch)
        warm, total = max(1, round(self.recipe.warmup_epochs * per_epoch)), self.recipe.epochs * per_epoch

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, total - warm))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> Any:
        return _Rows(len(self.train_set), self.recipe.batch, seed=(self.recipe.seed, self.current_epoch))

    def val_dataloader(self) -> Any:
        return _Rows(len(self.select_set), 256, seed=None)


class _Rows(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Batches of row numbers, shuffled by the seed or in order. The faces themselves are picked on the device."""

    def __init__(self, count: int, batch: int, seed: tuple[int, int] | None) -> None:
        self.count, self.batch, self.seed = count, batch, seed

    def __len__(self) -> int:
        return -(-self.count // self.batch)

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = np.arange(self.count) if self.seed is None else np.random.default_rng(self.seed).permutation(self.count)
        for start in range(0, self.count, self.batch):
            yield torch.from_numpy(order[start : start + self.batch])


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


class _MetricsFile(Callback):
    """metrics.csv, a row per epoch, rewritten whole each time so that a kill leaves the last whole one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.started = 0.0
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()
        self.rows = [row for row in self.rows if int(row["epoch"]) < trainer.current_epoch + 1]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = {name: f"{float(value):.6f}" for name, value in sorted(trainer.callback_metrics.items())}
        seconds = f"{time.perf_counter() - self.started:.1f}"
        self.rows.append({"epoch": trainer.current_epoch + 1, **found, "seconds": seconds})
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows[-1]))
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.path)


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    threads: int = 1,
    accelerator: str = "auto",
    progress: bool = True,
) -> Path:
    """Train `recipe` on the faces in `data` into the folder `run`; gives back `run`.

    `resume` goes on after the last whole epoch of the same recipe. Raises `DataError`, also where `run` already holds a run and
    `resume` is off, or where its recipe is another one.
    """
    checkpoint = run / "last.ckpt"
    if run.exists() and any(run.iterdir()):
        if not resume:
            raise DataError(f"{run}: holds a run already; add --resume to go on with it or give another folder")
        before = run_recipe(run)
        if before != recipe:
            changed = [key for key, value in before.to_json().items() if recipe.to_json()[key] != value]
            raise DataError(f"{run}: was begun with another recipe ({', '.join(changed)} differ); give another folder")
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # it advertises
    tune_malloc()
    faces = load_faces(data, recipe.crop, align=recipe.align, splits=("Training", "PublicTest"))
    run.mkdir(parents=True, exist_ok=True)
    taught = _taught(recipe, data, run)
    module = ExpressionTrainer(recipe, faces.of("Training"), faces.of("PublicTest"), taught)
    facts = {"recipe": recipe.to_json(), "versions": versions(), "commit": commit(), "faces": len(faces.of("Training"))}
    (run / "recipe.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    best = _Checkpoint(run, filename="best", monitor="score", mode="max", enable_version_counter=False)
    last = _Checkpoint(run, filename="last", monitor=None, every_n_epochs=1, enable_version_counter=False)
    last.CHECKPOINT_NAME_LAST = "last"
    callbacks: list[Callback] = [best, last, _MetricsFile(run / "metrics.csv")]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    trainer = L.Trainer(
        max_epochs=recipe.epochs,
        accelerator=accelerator,
        devices=1,
        callbacks=callbacks,
        logger=False,
        default_root_dir=run,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        enable_progress_bar=progress,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    with warnings.catch_warnings():
        for meant in _MEANT:
            warnings.filterwarnings("ignore", message=meant)
        trainer.fit(module, ckpt_path=checkpoint if resume and checkpoint.is_file() else None, weights_only=False)
    return run


def _taught(recipe: Recipe, data: Path, run: Path) -> dict[str, NDArray[np.float32]]:
    """What the teachers say of the training faces; kept in the run folder, so that a run that goes on learns the same."""
    if not recipe.teachers:
        return {}
    kept = run / "teachers.npz"
    if not kept.is_file():
        found = teacher_targets(recipe.teachers, data, tuple(recipe.heads), temperature=recipe.teacher_temperature)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, allow_pickle=False, **found)
        partial.replace(kept)
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
    recipe = run_recipe(run)
    counts = {name: len(LABEL_SETS[name]) for name in recipe.heads}
    network = build(recipe.network, counts, recipe.crop.size, pretrained=False, dropout=0.0, drop_path=0.0)
    network.load_state_dict(averaged_weights(run / "best.ckpt"))
    return network.eval()


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
