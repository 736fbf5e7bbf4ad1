"""Which films the next participant watches, and in which order: by chance, and of two cuts so that both come equally often."""

import random
from collections.abc import Sequence

from mien.study.definition import Study


def deal(study: Study, dealt: Sequence[Sequence[str]], chance: random.Random) -> list[str]:
    """The ids of the films of the next participant, in order.

    Of two cuts of which each person watches one it is the one that fewer of those in `dealt` have; where everybody watches both,
    the one comes first that came first less often; where both are even, chance says. So the two never differ by more than one,
    whoever asks and whenever, as long as `dealt` holds what was dealt before to all who still count.
    """
    order = [stimulus.id for stimulus in study.stimuli]
    if study.order == "random":
        chance.shuffle(order)
    if not study.cuts:
        return order
    one, other = study.cuts
    if study.cuts_shown == "one":
        drawn = _rarer(one, other, [id for ids in dealt for id in study.cuts if id in ids], chance)
        return [id for id in order if id not in study.cuts or id == drawn]
    first = _rarer(one, other, [min(study.cuts, key=ids.index) for ids in dealt if one in ids and other in ids], chance)
    places = sorted(order.index(id) for id in study.cuts)
    for place, id in zip(places, (first, other if first == one else one), strict=True):
        order[place] = id
    return order


def _rarer(one: str, other: str, before: Sequence[str], chance: random.Random) -> str:
    by = before.count(one) - before.count(other)
    return chance.choice((one, other)) if by == 0 else other if by > 0 else one
