"""How far people came with a study, and why not further: opened, agreed, camera, started, finished, withdrawn.

How many came how far is told as it is, like the numbers at the head of a report. Why some did not come further is told of no fewer
than the smallest group: reasons that few had are told together, and no reason where few are missing.
"""

from collections.abc import Mapping
from typing import Any

from mien.study_report.small_cells import hidden, small

STAGES: dict[str, str] = {
    "opened": "Opened the page",
    "agreed": "Agreed to take part",
    "camera": "Came past the camera check",
    "started": "Began to watch",
    "finished": "Finished",
}
"""How far one can come, in this order, in words. Everybody who agreed counts there, who withdrew as well; later stages count those
who are still there."""

REASONS: dict[str, str] = {
    "declined": "said no",
    "not_open": "found the study full or over",
    "unanswered": "said neither yes nor no",
    "browser": "had a browser that gives a page no camera",
    "not_allowed": "did not allow the camera",
    "no_camera": "had no camera",
    "camera_failed": "had a camera that gave no picture",
    "screened_out": "were not among those looked for",
    "quota": "belonged to a group of which enough took part",
    "left": "chose to leave",
    "stopped": "went away",
    "stopped_watching": "went away during a film",
    "stopped_answering": "went away from the questions after it",
    "under_way": "are under way",
    "withdrawn": "withdrew or were erased",
    "withdrew_agreed": "withdrew before the camera check",
    "withdrew_camera": "withdrew before a film",
    "withdrew_started": "withdrew in the middle",
    "withdrew_finished": "withdrew after the end",
    "erased": "were erased by whoever runs the study",
    "over": "were erased as their time was over",
    "not_told": "were gone before reasons were counted",
}
"""Why somebody did not come further, in words. Nobody is asked: it is what the page and the server saw."""

OTHERS = "other reasons"

Json = dict[str, Any]


def funnel(counted: Mapping[str, Any], smallest: int) -> Json:
    """What may be shown of {"stages": {stage: n}, "lost": {stage: {reason: n}}, "withdrawn": {reason: n}, "without_camera": n}.

    `lost` of a stage are those who did not come as far. Each of these parts becomes {"n", "reasons": [{"reason", "title", "n"}]};
    the reason "others" are those that few had, taken together. `without_camera`, None where that is told of few, are those who came
    past the camera check without a camera, as a kiosk offers it. How many opened the page is None where nobody counted.
    """
    stages = [
        {"stage": stage, "title": title, "n": counted["stages"][stage], "lost": parted(counted["lost"].get(stage, {}), smallest)}
        for stage, title in STAGES.items()
    ]
    without, past = counted["without_camera"], counted["stages"]["camera"]
    return {
        "stages": stages,
        "withdrawn": parted(counted["withdrawn"], smallest),
        "without_camera": None if small(without, smallest) or small(past - without, smallest) else without,
    }


def parted(reasons: Mapping[str, int], smallest: int) -> Json:
    """Numbers that exclude each other beside their sum, with nothing of few; those that are many come first."""
    known = sorted((one for one in reasons.items() if one[1]), key=lambda one: (-one[1], list(REASONS).index(one[0])))
    n = sum(count for _, count in known)
    if small(n, smallest):
        return {"n": n, "reasons": []}
    gone = hidden([count for _, count in known], smallest)
    told: list[Json] = [
        {"reason": reason, "title": REASONS[reason], "n": count}
        for (reason, count), few in zip(known, gone, strict=True)
        if not few
    ]
    if rest := n - sum(one["n"] for one in told):
        told.append({"reason": "others", "title": OTHERS, "n": rest})
    return {"n": n, "reasons": told}


def reasons_text(part: Mapping[str, Any]) -> str:
    """ "4 said no, 7 for other reasons"; empty where no reason is told."""
    words = (f"{one['n']} {'for ' if one['reason'] == 'others' else ''}{one['title']}" for one in part["reasons"])
    return ", ".join(words)
