"""Which part of a list of files one task of an array takes: the K-th of N."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number`, from 1, of `of`. Raises `ValueError` for one that cannot be."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"wanted a shard from 1/{max(1, self.of)} to {max(1, self.of)}/{max(1, self.of)}, but got {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def takes(self, files: Sequence[int]) -> list[int]:
        """Each `of`-th: long and short films, which often lie beside their like, are dealt out evenly."""
        return list(files[self.number - 1 :: self.of])

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> "Shard":
        """ "3/8" as it stands; "auto" by the variables that SLURM or AWS Batch give to each task of an array.

        Raises `ValueError` where that cannot be had.
        """
        if text == "auto":
            return cls._of_environment(environment)
        number, slash, of = text.partition("/")
        if not (slash and number.isdigit() and of.isdigit()):
            raise ValueError(f"wanted a shard as K/N, such as 3/8, or auto, but got {text!r}")
        return cls(int(number), int(of))

    @classmethod
    def _of_environment(cls, environment: Mapping[str, str]) -> "Shard":
        def value(name: str, default: str | None = None) -> int:
            text = environment.get(name, default)
            if text is None or not text.isdigit():
                raise ValueError(f"--shard auto wanted a whole number in {name}, but got {text or 'nothing'}; give --shard K/N")
            return int(text)

        if "SLURM_ARRAY_TASK_ID" in environment:
            task, first = value("SLURM_ARRAY_TASK_ID"), value("SLURM_ARRAY_TASK_MIN", "0")
            step, count = value("SLURM_ARRAY_TASK_STEP", "1"), value("SLURM_ARRAY_TASK_COUNT")
            last = value("SLURM_ARRAY_TASK_MAX", str(first + (count - 1) * max(1, step)))
            if step < 1 or (task - first) % step or first + (count - 1) * step != last:
                raise ValueError(
                    f"--shard auto wanted an array of evenly spaced numbers, but SLURM's has {count} from {first} to {last}; "
                    "give --shard $SLURM_ARRAY_TASK_ID/N"
                )
            return cls((task - first) // step + 1, count)
        if "AWS_BATCH_JOB_ARRAY_INDEX" in environment:
            return cls(value("AWS_BATCH_JOB_ARRAY_INDEX") + 1, value("AWS_BATCH_JOB_ARRAY_SIZE"))
        raise ValueError("--shard auto wanted a task of an array of SLURM or AWS Batch, but there is none; give --shard K/N")
