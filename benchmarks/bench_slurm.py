"""The SLURM array of docs/scale.md on this machine alone: python benchmarks/bench_slurm.py [--films 12] [--tasks 4]

A SLURM of its own (Debian's slurmctld, slurmd, munge; as root) with this machine as its one node, thrown away afterwards. Printed
is what the array's tasks said, what `mien gather` says of it, and how many films were begun and done. One task is requeued while it
runs, as where its node is lost.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import measure
from bench_many import TABLES, begun, command, different, done, make_films, until

CONFIG = """
ClusterName=mien
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port_of_node}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm(folder: Path) -> Iterator[Mapping[str, str]]:
    """A SLURM of one node; the environment in which its commands find it."""
    host = socket.gethostname().split(".")[0]
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, folder=folder, port=ports[0], port_of_node=ports[1], cpus=os.cpu_count()))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(config)}
    munge = [f"--{name}={folder}/munge.{end}" for name, end in (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"))]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed", "--force", "--foreground"]
    with ExitStack() as stack:
        for program in (["munged", *munge], ["slurmctld", "-D", "-f", config], ["slurmd", "-D", "-f", config, "-N", host]):
            process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            time.sleep(1)
        until(lambda: "idle" in subprocess.run(["sinfo", "-h"], env=environment, capture_output=True, text=True).stdout)
        yield environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        films, alone, out = make_films(folder / "films", options.films), folder / "alone", folder / "results"
        measure.run(command(films, alone))
        script = folder / "array.sh"
        line = f"{sys.executable} -m mien.cli analyze {films} --shard auto --out {out} --no-video"
        script.write_text(f"#!/bin/bash\n#SBATCH --array=1-{options.tasks}\n#SBATCH --cpus-per-task=1\n#SBATCH --requeue\n{line}\n")
        with slurm(folder) as environment:

            def call(*words: str) -> str:
                return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.strip()

            array = call("sbatch", "--parsable", f"--output={folder}/array-%a.log", "--open-mode=append", str(script))
            until(lambda: done(out) >= 1)
            call("scontrol", "requeue", f"{array}_1")  # as where its node is lost
            until(lambda: not call("squeue", "-h"))
        for k in range(1, options.tasks + 1):
            print(f"--- array-{k}.log\n{(folder / f'array-{k}.log').read_text().strip()}")
        print(subprocess.run(measure.mien("gather", out), capture_output=True, text=True).stdout.strip())
        count = len(different(out, alone))
        print(f"{done(out)} of {options.films} done, {sum(begun(out).values())} starts, one task requeued while it ran;")
        print(f"tables other than those of one process: {count} of {options.films * len(TABLES)}")


if __name__ == "__main__":
    main()
