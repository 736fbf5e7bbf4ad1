"""How fast a network is before it is trained: one face in onnxruntime, and training, on one thread each.

python benchmarks/bench_networks.py [--networks NAME,NAME] [--sizes N,N]

The weights are random: speed does not depend on them. Needs the train extra.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import measure
from mien.labels import LABEL_SETS
from mien.models import OnnxSession
from mien.training.networks import ORIGINS, build

FACES, BATCHES, BATCH = 300, 4, 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds for one face, and faces a second in training.")
    parser.add_argument("--networks", default="mien-small,mien-medium", help="names; default mien-small,mien-medium")
    parser.add_argument("--sizes", default="64,48", help="sides of the faces in pixels; default 64,48")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.networks.split(","):
        for size in map(int, options.sizes.split(",")):
            heads = {head: len(LABEL_SETS[head]) for head in ORIGINS[name].heads}
            network = build(name, heads, size, pretrained=False)
            rows.append([name, f"{size} px", f"{one_face_ms(network, size):.2f} ms", f"{learnt_per_s(network, size):.0f}"])
    title = f"One thread: the median of {FACES} faces, and the best of {BATCHES} batches of {BATCH}"
    measure.table(title, ["network", "face", "one face, onnxruntime", "training, faces/s"], rows)


def one_face_ms(network: torch.nn.Module, size: int) -> float:
    """Median milliseconds of a batch of one."""
    face = torch.rand(1, 1, size, size)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "network.onnx"
        torch.onnx.export(network.eval(), (face,), path, dynamo=True, verbose=False)
        session = OnnxSession(path)
        batch = face.numpy().astype(np.float32)
        took = []
        for _ in range(FACES):
            began = time.perf_counter()
            session(batch)
            took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)


def learnt_per_s(network: torch.nn.Module, size: int) -> float:
    """Faces a second, forward, backward and the optimiser's step, in the best batch."""
    network.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters())
    batch = torch.rand(BATCH, 1, size, size).contiguous(memory_format=torch.channels_last)
    took = []
    for _ in range(BATCHES + 1):  # the first one warms up
        began = time.perf_counter()
        optimiser.zero_grad()
        sum(scores.logsumexp(1).mean() for scores in network(batch).values()).backward()
        optimiser.step()
        took.append(time.perf_counter() - began)
    return BATCH / min(took[1:])


if __name__ == "__main__":
    main()
