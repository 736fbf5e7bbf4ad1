"""How much more or less often a model is right than another one, about the same pictures:

python experiments/paired/measure_difference.py ONE OTHER --data DATA [--split PrivateTest]

For each label set that both have: N, how many each has right, the pictures that only one has right, and the difference in points
with its 95 % interval by bootstrap over pictures. ONE and OTHER are names or folders of models; each is shown its own crops.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.emotion import Expressions
from mien.models import Bundle, load_model
from mien.training.data import load_faces

ROUNDS = 10_000


def right(bundle: Bundle, data: Path, split: str, head: str) -> NDArray[np.bool_]:
    """(N,) whether its leading expression is the label, of the pictures of `split` that have one."""
    faces = load_faces(data, bundle.spec.crop, align=bool(bundle.spec.recipe.get("align", True)), splits=(split,))
    truth = faces.truth(head)
    counts = truth >= 0
    return np.asarray(Expressions(bundle, head=head)(faces.crops[counts]).argmax(axis=1) == truth[counts])


def difference(one: NDArray[np.bool_], other: NDArray[np.bool_], seed: int = 0) -> tuple[float, float, float]:
    """Share right of `other` less that of `one`, and the ends of its 95 % interval: pictures are drawn, each with both answers."""
    gained, lost, n = int((other & ~one).sum()), int((one & ~other).sum()), len(one)
    drawn = np.random.default_rng(seed).multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], ROUNDS)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
    return (gained - lost) / n, float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description="How much more or less often a model is right than another one.")
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="PublicTest")
    options = parser.parse_args()
    one, other = load_model(options.one), load_model(options.other)
    print("| labels | N | right before | right now | only before | only now | difference in points (95 %) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for head in (h.name for h in one.spec.heads if h.name in [o.name for o in other.spec.heads]):
        before, now = (right(bundle, options.data, options.split, head) for bundle in (one, other))
        by, low, high = difference(before, now)
        print(
            f"| {head} | {len(now):,} | {100 * before.mean():.2f} % | {100 * now.mean():.2f} % "
            f"| {(before & ~now).sum()} | {(now & ~before).sum()} | {100 * by:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
