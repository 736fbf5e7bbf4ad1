"""Reviews as the report draws them, made up in one place: a usual one, and those at the edges."""

import base64
import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.labels import COLOURS, FERPLUS
from mien.study_report.funnel import funnel

SIGNALS = (*FERPLUS, "valence")
CAVEAT = (
    "Apparent expression: what a face appears to show, as a program reads it. "
    "It does not say what a person feels, thinks or intends."
)
LAW = "People who are recorded for this must be told, and agree where the law asks for it (AI Act, Regulation (EU) 2024/1689)."

LONG = "What went through your mind while the two of them stood at the window and nobody said anything for a very long time? " * 3
HOSTILE = '<img src=x onerror="alert(1)"> & <b>"bold"</b> </script><script>alert(2)</script>'
TURKISH = "Gülümseyen İstanbul’un ışıkları: şaşkınlık, öfke ve çığlık"
FRENCH = "L’œuvre inachevée : « où étiez-vous, Noël ? » – été à Nîmes"

_SCENES = (
    (4.0, "title", "#244a73"),
    (30.0, "joke", "#d99a1c"),
    (58.0, "quiet", "#3c4452"),
    (92.0, "surprise", "#8a3b78"),
    (120.0, "logo", "#2f6b4f"),
)


def picture(text: str, colour: str, width: int = 160, height: int = 90) -> str:
    """A drawn still as a data URI: a coloured ground, a shape, a word."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    image = np.full((height, width, 3), (blue, green, red), np.uint8)
    cv2.circle(
        image, (width // 2, height // 2 + 6), height // 4, (blue // 2 + 120, green // 2 + 120, red // 2 + 120), -1, cv2.LINE_AA
    )
    cv2.putText(image, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return "data:image/jpeg;base64," + base64.b64encode(cv2.imencode(".jpg", image)[1].tobytes()).decode()


def _still(time_s: float) -> str:
    _, text, colour = max((scene for scene in _SCENES if scene[0] <= max(time_s, 4.0)), key=lambda scene: scene[0])
    return picture(f"{text} {time_s:.0f} s", colour)


def _bump(times: NDArray[np.float64], at: float, width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((times - at) / width) ** 2), np.float64)


def _numbers(values: NDArray[Any], seen: NDArray[np.bool_] | None = None) -> list[float | None]:
    ok = np.ones(len(values), bool) if seen is None else seen
    return [round(float(v), 4) if s else None for v, s in zip(values, ok, strict=True)]


def _curves(
    times: NDArray[np.float64], n: int, *, strength: float, seed: int, seen: NDArray[np.bool_], shift: float = 0.0
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    happy = 0.07 + strength * (0.62 * _bump(times, 33, 4) + 0.35 * _bump(times, 123, 3.5))
    shapes = {
        "happiness": happy,
        "surprise": 0.05 + strength * 0.44 * _bump(times, 94, 2.5),
        "sadness": 0.08 + strength * 0.25 * _bump(times, 68, 9),
        "anger": 0.03 + 0 * times,
        "disgust": 0.02 + 0 * times,
        "fear": 0.02 + strength * 0.1 * _bump(times, 95, 3),
        "contempt": 0.025 + 0 * times,
    }
    wave = {name: value + 0.012 * np.sin(times / rng.uniform(5, 11) + rng.uniform(0, 6)) for name, value in shapes.items()}
    wave = {name: np.clip(value, 0.004, 0.95) for name, value in wave.items()}
    wave["neutral"] = np.clip(1 - sum(wave.values()), 0.02, 1)
    wave["valence"] = wave["happiness"] - np.maximum.reduce(
        [wave[name] for name in ("sadness", "anger", "fear", "disgust", "contempt")]
    )
    out = {}
    for name in SIGNALS:
        mean = wave[name] - shift * (0.6 if name == "neutral" else 0.05)
        half = (0.05 + 0.25 * np.abs(wave[name])) * 1.4 / np.sqrt(max(n, 1))
        out[name] = {"mean": _numbers(mean, seen), "low": _numbers(mean - half, seen), "high": _numbers(mean + half, seen)}
    return out


def _apart(groups: dict[str, Any]) -> dict[str, Any]:
    """One group's curves minus the other's; chance reaches a tenth to either side."""
    found: dict[str, Any] = {}
    for kind in ("raw", "corrected"):
        found[kind] = {}
        for signal in SIGNALS:
            means = zip(groups["short"][kind][signal]["mean"], groups["long"][kind][signal]["mean"], strict=True)
            gap = [None if a is None or b is None else round(a - b, 4) for a, b in means]
            low, high = ([None if v is None else edge for v in gap] for edge in (-0.1, 0.1))
            most = max(abs(v) for v in gap if v is not None)
            found[kind][signal] = {"difference": gap, "low": low, "high": high, "p": 0.004 if most > 0.1 else 0.6}
    return found


def stimulus(
    id: str = "s1",
    title: str = "The Joke at the Window",
    *,
    seconds: float = 150.0,
    viewers: int = 10,
    groups: bool = True,
    shown: bool = True,
) -> dict[str, Any]:
    step = max(0.5, seconds / 1200)
    times = np.round(np.arange(0, seconds, step), 3)
    story = times * 150 / seconds
    rng = np.random.default_rng(7)
    seen = ~((story > 106) & (story < 109))
    n = np.where(seen, np.clip(viewers - rng.integers(0, 2, len(times)), 0, None), 0)
    part: dict[str, Any] = {
        "id": id,
        "title": title,
        "duration_s": seconds,
        "viewers": viewers,
        "times": [],
        "attention": [],
        "n": [],
        "steps": [],
        "sigma_s": 0,
        "everybody": None,
        "least_watched": 0.8,
        "watched": {},
        "left": [],
        "there": [],
        "compared": True,
        "in_curves": viewers,
        "curves": None,
        "groups": {},
        "differences": {},
        "synchrony": None,
        "moments": [],
        "markers": [],
        "strip": [{"time_s": round(s, 1), "image": _still(s * 150 / seconds)} for s in np.linspace(0, seconds * 0.98, 40)],
        "facts": ["Made of drawn shapes; nobody is in it."],
    }
    if not shown:
        return part
    scale = seconds / 150
    part |= {
        "times": times.tolist(),
        "attention": _numbers(n / max(viewers, 1)),
        "n": n.tolist(),
        "there": [viewers + 2 if t < 40 else viewers for t in story],
        "steps": [{"time_s": round(40 * seconds / 150, 1), "before": viewers + 2, "after": viewers}],
        "left": [
            {"viewer": f"9{k}", "share": 0.27, "from_s": 0.0, "until_s": 40.0, "why": "saw 27% of it, from 0.0 s to 40.0 s"}
            for k in range(2)
        ],
        "sigma_s": 0.25 if seconds < 1200 else 0,
        "curves": {
            "raw": _curves(story, viewers, strength=1.0, seed=1, seen=seen),
            "corrected": _curves(story, viewers, strength=1.0, seed=1, seen=seen, shift=1.0),
        },
    }
    if groups:
        half = {"n": viewers // 2, "times": times[::2].tolist()}
        part["groups"] = {
            "cell": {
                value: half
                | {
                    "raw": _curves(story[::2], viewers // 2, strength=strength, seed=k, seen=seen[::2]),
                    "corrected": _curves(story[::2], viewers // 2, strength=strength, seed=k, seen=seen[::2], shift=1.0),
                }
                for k, (value, strength) in enumerate((("short", 1.25), ("long", 0.75)))
            }
        }
        part["differences"] = {"cell": {"groups": ["short", "long"], "times": half["times"], **_apart(part["groups"]["cell"])}}
    windows = times[:: max(1, round(5 / step))]
    together = 0.05 + 0.5 * _bump(windows / scale, 36, 12) + 0.3 * _bump(windows / scale, 96, 10)
    part["synchrony"] = {
        "signal": "valence",
        "isc": 0.31,
        "null_low": -0.06,
        "null_high": 0.08,
        "p": 0.005,
        "times": windows.tolist(),
        "values": _numbers(together),
        "low": [-0.16] * len(windows),
        "high": [0.19] * len(windows),
        "by_signal": {
            name: {"isc": round(0.3 / (k + 1), 3), "p": round(0.005 * (k + 1) ** 2, 4)} for k, name in enumerate(SIGNALS)
        },
    }
    tenths = round(viewers * 0.8)
    for signal, at, value, rise in (
        ("happiness", 33.5, 0.68, 0.52),
        ("surprise", 94.0, 0.48, 0.4),
        ("happiness", 123.0, 0.42, 0.26),
    ):
        who = [str(k + 1) for k in range(tenths)]
        part["moments"].append(
            {
                "signal": signal,
                "direction": "up",
                "n": viewers,
                "time_s": round(at * scale, 1),
                "start_s": round((at - 4) * scale, 1),
                "end_s": round((at + 5) * scale, 1),
                "value": value,
                "rise": rise,
                "threshold": 0.21,
                "measured": value + 0.02,
                "share": round(tenths / max(viewers, 1), 3),
                "viewers": who,
                "still": _still(at),
                "says": f"{signal.capitalize()} appeared to rise in {tenths} of {viewers} viewers",
            }
        )
    part["moments"].append(
        part["moments"][0]
        | {
            "signal": "valence",
            "direction": "down",
            "time_s": 68 * scale,
            "value": -0.2,
            "rise": -0.22,
            "threshold": -0.1,
            "says": "Valence appeared to fall in 6 of 10 viewers",
        }
    )
    for k, (label, at, end) in enumerate((("Joke", 30.0, None), ("Quiet scene", 58.0, 80.0), ("Logo", 120.0, None))):
        effects = {
            name: {
                "before": 0.1,
                "after": round(0.1 + d, 3),
                "difference": round(d, 3),
                "low": round(d - 0.09, 3),
                "high": round(d + 0.09, 3),
                "p": p,
            }
            for name, d, p in (
                *((name, 0.004, 0.72) for name in SIGNALS),
                ("happiness", (0.43, -0.05, 0.28)[k], (0.002, 0.21, 0.002)[k]),
                ("sadness", (-0.03, 0.17, -0.01)[k], (0.3, 0.004, 0.6)[k]),
                ("valence", (0.45, -0.2, 0.27)[k], (0.002, 0.004, 0.002)[k]),
            )
        }
        part["markers"].append(
            {"id": f"m{k}", "label": label, "time_s": at * scale, "end_s": None if end is None else end * scale, "effects": effects}
        )
    return part


def viewers(count: int, groups: bool = True) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    out = []
    for k in range(count):
        room = k >= 8 and count > 8
        share = float(np.clip(rng.normal(0.94, 0.06), 0.3, 1)) if k != 5 else 0.52
        quality = "good" if share > 0.85 else "fair" if share > 0.6 else "poor"
        out.append(
            {
                "name": f"R1-{k - 7}" if room else str(k + 1),
                "room": room,
                "groups": {"cell": ("short", "long")[k % 2]} if groups else {},
                "started_at": f"2026-11-{18 + k % 3:02d}T{9 + k % 8:02d}:{(7 * k) % 60:02d}:00Z",
                "minutes": round(float(rng.normal(6.2, 1)), 1),
                "finished": k != 5,
                "looks": int(rng.integers(280, 300)),
                "face_share": round(share, 3),
                "late": int(rng.integers(0, 9)),
                "dropped": int(k == 3) * 4,
                "pauses": int(k % 4 == 1),
                "quality": quality,
                "why": "" if quality == "good" else f"No face was found in {1 - share:.0%} of the looks.",
            }
        )
    return out


def _counted(kind: str, options: list[str], counts: list[int]) -> dict[str, Any]:
    n = sum(counts) if kind == "single" else max(counts)
    return {
        "n": n,
        "counts": [
            {"id": f"o{k}", "title": title, "n": c, "share": round(c / max(n, 1), 3)}
            for k, (title, c) in enumerate(zip(options, counts, strict=True))
        ],
    }


def _scale(points: list[int], low: int = 1) -> dict[str, Any]:
    answers = list(itertools.chain.from_iterable([value] * count for value, count in enumerate(points, low)))
    counts = [
        {"id": str(k), "title": str(k), "n": c, "share": round(c / max(len(answers), 1), 3)} for k, c in enumerate(points, low)
    ]
    return {
        "n": len(answers),
        "counts": counts,
        "mean": round(float(np.mean(answers)), 2),
        "sd": round(float(np.std(answers, ddof=1)), 2),
        "median": float(np.median(answers)),
    }


def questions() -> list[dict[str, Any]]:
    """One of each kind."""
    by = {"cell": {"short": _scale([0, 0, 0, 0, 2, 2, 1]), "long": _scale([0, 0, 1, 2, 1, 1, 0])}}
    counted = {
        "cell": {
            value: _counted("single", ["Often", "Now and then", "Never"], c)
            for value, c in (("short", [3, 1, 1]), ("long", [1, 3, 1]))
        }
    }
    felt = {
        label: {"mean": mean, "counts": counts}
        for label, mean, counts in (
            *((label, 0.3, [7, 3, 0, 0, 0]) for label in FERPLUS),
            ("happiness", 2.7, [0, 1, 3, 4, 2]),
            ("surprise", 1.9, [1, 3, 2, 4, 0]),
            ("sadness", 1.1, [4, 3, 2, 0, 1]),
        )
    }
    return [
        {
            "id": "q1",
            "part": "before",
            "kind": "single",
            "title": "How often do you go to the cinema?",
            **_counted("single", ["Often", "Now and then", "Never"], [4, 4, 2]),
            "by_group": counted,
        },
        {
            "id": "q2",
            "part": "before",
            "kind": "multiple",
            "title": "What do you like to watch?",
            **_counted("multiple", ["Comedies", "Dramas", TURKISH, HOSTILE], [8, 5, 3, 1]),
        },
        {
            "id": "q3",
            "part": "before",
            "kind": "number",
            "title": "How old are you?",
            "n": 10,
            "mean": 34.2,
            "sd": 9.1,
            "median": 33.0,
            "histogram": [{"low": 20 + 10 * k, "high": 30 + 10 * k, "n": 4 - k} for k in range(4)],
        },
        {
            "id": "q4",
            "part": "after",
            "kind": "liking",
            "title": "How did you like the film?",
            **_scale([0, 0, 1, 2, 3, 3, 1]),
            "by_group": by,
        },
        {"id": "q5", "part": "after", "kind": "scale5", "title": "The story was easy to follow.", **_scale([0, 1, 2, 4, 3])},
        {
            "id": "q6",
            "part": "after",
            "kind": "emotions",
            "title": "What did you feel while you watched?",
            "n": 10,
            "emotions": felt,
        },
        {
            "id": "q7",
            "part": "after",
            "kind": "short",
            "title": "In one word?",
            "n": 7,
            "texts": ["funny", "odd", "drôle", "ışıklı", "warm", HOSTILE, "–"],
        },
        {"id": "q8", "part": "after", "kind": "long", "title": LONG.strip(), "n": 3, "texts": [LONG.strip(), FRENCH, TURKISH]},
    ]


def agreement() -> dict[str, Any]:
    rows = [
        {
            "label": label,
            "n": 10,
            "rho": rho,
            "low": None if rho is None else max(rho - 0.4, -1),
            "high": None if rho is None else min(rho + 0.3, 1),
            "ccc": None if rho is None else round(rho * 0.6, 2),
            "reported_mean": reported,
            "expressed_mean": expressed,
            "says": "cannot be said" if rho is None else "weak to strong link" if rho > 0.6 else "not clear from 10 viewers",
        }
        for label, rho, reported, expressed in zip(
            FERPLUS,
            (None, 0.62, 0.41, 0.18, None, -0.1, 0.05, 0.0),
            (1.1, 2.7, 1.9, 1.1, 0.3, 0.3, 0.3, 0.3),
            (0.71, 0.14, 0.07, 0.09, 0.03, 0.02, 0.03, 0.02),
            strict=True,
        )
    ]
    text = (
        "Expression is not feeling. A person can feel much and show little, or smile out of politeness. "
        "The two are set side by side here; neither corrects the other."
    )
    return {"text": text, "rows": rows, "liking": {"n": 10, "rho": 0.55, "low": 0.05, "high": 0.85, "says": "weak to strong link"}}


COUNTED: dict[str, Any] = {
    "stages": {"opened": 40, "agreed": 24, "camera": 15, "started": 14, "finished": 9},
    "lost": {
        "agreed": {"declined": 6, "unanswered": 10},
        "camera": {"not_allowed": 6, "no_camera": 1, "stopped": 1, "withdrawn": 1},
        "started": {"stopped": 1},
        "finished": {"left": 5},
    },
    "withdrawn": {"withdrew_started": 1},
    "without_camera": 0,
}
"""A funnel as the server counts it."""


def review(
    count: int = 10,
    *,
    title: str = "Reaction screening, cut 3",
    stimuli: list[dict[str, Any]] | None = None,
    groups: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """A usual review: ten viewers in two groups, one film, questions of each kind."""
    hidden = None
    if count < 5:
        said = "Nobody has taken part yet" if count == 0 else f"{count} viewer{'s' if count > 1 else ''} so far"
        hidden = f"{said}; results are shown from 5."
    films = stimuli if stimuli is not None else [stimulus(viewers=count, groups=groups and hidden is None, shown=hidden is None)]
    shown = hidden is None
    return {
        "format": "mien-review 1",
        "title": title,
        "about": "Two cuts of the opening, shown to people who had not seen it.",
        "made_at": "2026-11-21T14:20:00Z",
        "until": None,
        "live": False,
        "simulated": None,
        "purpose": "film_test",
        "smallest_group": 5,
        "caveat": CAVEAT,
        "law": LAW,
        "labels": list(FERPLUS),
        "colours": {name: {"light": code, "dark": code} for name, code in COLOURS.items()},
        "counts": {
            "invited": count + 4,
            "agreed": count + 1,
            "finished": max(count - 1, 0),
            "left": 1,
            "withdrawn": 1,
            "measured": count,
            "rooms": int(count > 8),
            "shown": count if shown else 0,
        },
        "funnel": funnel(COUNTED, 5),
        "hidden": hidden,
        "methods": {
            "step_s": 0.5,
            "curve_sigma_s": 2,
            "level": 0.95,
            "draws": 1000,
            "shifts": 200,
            "window_s": 30,
            "baseline_s": 5,
            "text": [
                "Each viewer's face was looked at every 0.5 s; the time is the film's own, also through pauses.",
                "Curves are means over the viewers, smoothed with a Gaussian of 2 s; the band is 95%, by bootstrap.",
                "mien 0.1.0 with the model mien-lite0.",
            ],
            "paragraph": "Faces of 10 viewers were read 2 times a second with mien 0.1.0; curves are means over the viewers.",
        },
        "variables": [
            {
                "id": "cell",
                "title": "Cut",
                "values": [
                    {"id": "short", "title": "Short cut", "n": count // 2, "shown": shown},
                    {"id": "long", "title": "Long cut", "n": count - count // 2, "shown": shown},
                ],
            }
        ]
        if groups
        else [],
        "stimuli": films,
        "viewers": viewers(count, groups),
        "questions": questions() if shown else [],
        "agreement": agreement() if shown else None,
    } | more


def two_films() -> dict[str, Any]:
    return review(
        stimuli=[stimulus("s1", TURKISH), stimulus("s2", FRENCH, seconds=5400.0, groups=False)], title=f"{TURKISH} / {FRENCH}"
    )


def hostile() -> dict[str, Any]:
    film = stimulus(title=HOSTILE)
    film["markers"][0]["label"] = HOSTILE
    film["moments"][0]["says"] = HOSTILE
    return review(title=HOSTILE, about=HOSTILE, stimuli=[film], simulated=f"Ten simulated viewers: {HOSTILE}")


def long_titles() -> dict[str, Any]:
    endless = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3
    film = stimulus(title=LONG * 2)
    film["markers"][0]["label"] = endless
    made = review(title=LONG * 2 + endless, stimuli=[film])
    made["variables"][0]["title"] = endless
    made["variables"][0]["values"][0]["title"] = LONG
    return made


KINDS: dict[str, Any] = {
    "usual": review,
    "simulated": lambda: review(
        simulated="Ten simulated viewers: nobody was filmed. The numbers are made up to show what a report looks like."
    ),
    "nobody": lambda: review(0, groups=False),
    "one": lambda: review(1, groups=False),
    "few": lambda: review(2, live=True),
    "crowd": lambda: review(200, live=True),
    "two_films": two_films,
    "hostile": hostile,
    "long_titles": long_titles,
}
"""Every kind of review that the report must be able to draw."""
