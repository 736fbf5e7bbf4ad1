import pytest

from mien.shard import Shard


def test_each_file_is_in_one_shard() -> None:
    files = range(11)
    parts = [Shard(number, 4).takes(files) for number in (1, 2, 3, 4)]
    assert sorted(i for part in parts for i in part) == list(files)
    assert [len(part) for part in parts] == [3, 3, 3, 2]


@pytest.mark.parametrize(
    ("text", "environment", "found"),
    [
        ("3/8", {}, Shard(3, 8)),
        ("3/8", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}, Shard(3, 8)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(1, 4)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(4, 4)),
        (
            "auto",
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "7",
                "SLURM_ARRAY_TASK_STEP": "3",
                "SLURM_ARRAY_TASK_COUNT": "3",
            },
            Shard(3, 3),
        ),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "7", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, Shard(8, 8)),
    ],
)
def test_shards_are_named_or_the_schedulers(text: str, environment: dict[str, str], found: Shard) -> None:
    assert Shard.parse(text, environment) == found


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("0/8", {}, "wanted a shard from 1/8 to 8/8, but got 0/8"),
        ("9/8", {}, "wanted a shard from 1/8 to 8/8, but got 9/8"),
        ("eight", {}, "wanted a shard as K/N, such as 3/8, or auto, but got 'eight'"),
        ("-1/8", {}, "wanted a shard as K/N"),
        ("auto", {}, "wanted a task of an array of SLURM or AWS Batch, but there is none"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "7"}, "AWS_BATCH_JOB_ARRAY_SIZE, but got nothing; give --shard K/N"),
        (  # sbatch --array=3,7: which parts of how many these are is not said
            "auto",
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_MIN": "3",
                "SLURM_ARRAY_TASK_MAX": "7",
                "SLURM_ARRAY_TASK_COUNT": "2",
            },
            "evenly spaced numbers, but SLURM's has 2 from 3 to 7",
        ),
    ],
)
def test_what_is_no_shard(text: str, environment: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("$", r"\$")):
        Shard.parse(text, environment)
