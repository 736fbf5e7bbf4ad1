"""How a study's report was made: a list of what was done, and a paragraph of it that can be pasted into a paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from mien import __version__
from mien.study_report.headline import LEAST_TESTED
from mien.study_report.presence import LEAST_WATCHED
from mien.study_report.viewers import Viewer

MARKER_S = 5.0

Json = dict[str, Any]


def methods(
    definition: Mapping[str, Any],
    measured: Sequence[Viewer],
    films: Sequence[Mapping[str, Any]],
    *,
    step_s: float,
    numbers: Mapping[str, Any],
    simulated: str | None,
    notes: Sequence[str] = (),
    excluded: Mapping[str, str],
) -> Json:
    """What the report says of itself.

    films    the stimuli as the report has them        step_s  seconds of a cell of its curves
    numbers  level, draws, shifts and window_s, as they were used
    notes    what else is to be said                   excluded  viewer → why whoever runs the study leaves that one out
    """
    level, draws, shifts = numbers["level"], numbers["draws"], numbers["shifts"]
    baseline_s, smallest = definition["baseline_s"], definition["smallest_group"]
    text = [
        f"Made by mien {__version__}{_with(_models(measured))}.",
        simulated or f"Faces were read {rate(definition['every_s'])}, on the film's own clock through pauses and stalls.",
        f"Curves and tables hold what was measured: a point every {step_s:.3g} s, the mean over the viewers of each one's looks "
        f"within that time. {_smoothing(films)}",
        "A score is how sure the program is that a face appears to show an expression, from 0 to 100%. Baseline-corrected: the "
        f"same minus that of the viewer's own rest face, measured for {baseline_s:g} s before the film; 0 means as at rest.",
        "Valence: the score of happiness minus the largest among anger, sadness, fear, disgust and contempt.",
        f"Bands: {level:.0%} intervals of the mean, by bootstrap over viewers ({draws} draws).",
        "Synchrony: each viewer's correlation with the mean of all others, averaged. Its band is what remains when each viewer's "
        f"curve is shifted in time by chance ({shifts} times); the curve over time uses windows of {numbers['window_s']:g} s.",
        "Moments: where the smoothed mean rises above (or valence falls below) all but "
        f"{1 - level:.0%} of the highest peaks of whole films shifted by chance.",
        f"Markers: the mean of the {MARKER_S:g} s before a marker against the {MARKER_S:g} s after it, or as long as it lasts; of "
        "viewers seen in both; p by sign flips, corrected for the expressions (Holm), not for several "
        "markers.",
        "Groups: where two groups of a kind are shown, one curve minus the other, smoothed; its band holds all of what comes out "
        f"in {level:.0%} of cases when viewers are dealt to the groups by chance ({draws} times; the highest point of a film). "
        "Over the whole film: Welch's t of each viewer's own mean. Both corrected for all expressions (Holm).",
        *(
            [
                "Two cuts: on one clock from the beginning of each; the second curve minus the first, smoothed. Its band holds all "
                f"of what comes out in {level:.0%} of cases when who saw both changes the two by chance, and who saw one is dealt "
                f"to one ({draws} times; the highest point); corrected for all expressions (Holm).",
                "Each participant was dealt one of the two cuts: the one that fewer had, by chance where both had as many."
                if definition.get("cuts_shown") == "one"
                else "Which of the two a participant watched first was dealt, too: the one that had come first less often.",
            ]
            if definition.get("cuts")
            else []
        ),
        f"Of fewer than {LEAST_TESTED} viewers curves and means are shown, but no moment, interval of a change, p or verdict.",
        "Attention: of the viewers who were being measured, the share in whom a face was found.",
        f"Who saw less than {LEAST_WATCHED:.0%} of a film is in none of its curves, moments, markers and correlations, but where "
        "“Everybody” is chosen; a mean would move because they leave.",
        f"Nothing is shown of fewer than {smallest} viewers, nor what would give it away by subtraction.",
        *(f"Viewer {name} is left out by whoever runs the study: {reason}" for name, reason in excluded.items()),
        *notes,
    ]
    return {
        **numbers,
        "step_s": round(step_s, 4),
        "curve_sigma_s": definition["curve_sigma_s"],
        "baseline_s": baseline_s,
        "text": text,
        "paragraph": _paragraph(definition, measured, films, step_s, numbers, simulated, excluded),
    }


def rate(every_s: float) -> str:
    """How often, in words: "2 times a second", "once a second", "every 3 s"."""
    if every_s == 1:
        return "once a second"
    return f"{1 / every_s:.3g} times a second" if every_s < 1 else f"every {every_s:g} s"


def _paragraph(
    definition: Mapping[str, Any],
    measured: Sequence[Viewer],
    films: Sequence[Mapping[str, Any]],
    step_s: float,
    numbers: Mapping[str, Any],
    simulated: str | None,
    excluded: Mapping[str, str],
) -> str:
    """The methods in one paragraph, with versions, settings, coverage, and what to cite."""
    shown = [film for film in films if film["curves"]]
    watched = "; ".join(f"“{film['title']}” ({film['duration_s']:g} s, n = {film['viewers']})" for film in shown)
    looks = sum(int(viewer.quality.get("looks") or 0) for viewer in measured)
    found = sum(int(viewer.quality.get("with_face") or 0) for viewer in measured)
    coverage = f"; a face was found in {min(1.0, found / looks):.1%} of {looks:,} readings" if looks else ""
    if looks and all("read" in viewer.quality for viewer in measured):
        coverage += f" and could be relied on in {min(1.0, sum(int(v.quality['read']) for v in measured) / looks):.1%}"
    rests = sum(viewer.baseline is not None for viewer in measured)
    rest = f" A rest face was measured in {rests} of them, for {definition['baseline_s']:g} s before the film." if rests else ""
    return " ".join(
        [
            *([f"SIMULATED, NOT MEASURED: {simulated}"] if simulated else []),
            f"Faces of {len(measured)} viewers were read {rate(definition['every_s'])} from camera pictures with mien {__version__}"
            f"{_with(_models(measured))} while they watched {watched or 'the stimulus'}{coverage}.{rest}",
            "For each face mien gives a score for each of several expressions: how sure the program is that the face appears to "
            "show it, which is not what a person feels.",
            f"Readings were put on the stimulus' own clock and averaged in cells of {step_s:.3g} s; curves are means over those "
            f"viewers in whom a face was found, as measured, with {numbers['level']:.0%} intervals by bootstrap-t over viewers "
            f"({numbers['draws']:,} draws). {_smoothing(films)}",
            "Moments that stand out, and how alike viewers moved (inter-subject correlation, leave-one-out), were tested against "
            f"{numbers['shifts']} sets of the same viewers shifted in time (maximum statistic over time and expressions).",
            "Changes at markers were tested by sign flips, differences between two groups by permutation (maximum statistic over "
            "time), both corrected for all expressions (Holm).",
            f"Nothing is reported of fewer than {definition['smallest_group']} viewers.",
            *_left_out(shown),
            *_excluded(excluded),
            "Software: The mien authors, mien: apparent facial expressions in pictures, films and live cameras, through time, "
            f"version {__version__}, Apache-2.0.",
        ]
    )


def _left_out(films: Sequence[Mapping[str, Any]]) -> list[str]:
    out = [f"{len(film['left'])} of “{film['title']}”" for film in films if film["left"] and film["compared"]]
    return [f"Viewers who saw less than {LEAST_WATCHED:.0%} of a stimulus were left out of it: {', '.join(out)}."] if out else []


def _excluded(excluded: Mapping[str, str]) -> list[str]:
    if not excluded:
        return []
    many = "1 viewer was" if len(excluded) == 1 else f"{len(excluded)} viewers were"
    return [
        f"{many} left out by the investigators: {'; '.join(reason.rstrip('.') for reason in dict.fromkeys(excluded.values()))}."
    ]


def _smoothing(films: Sequence[Mapping[str, Any]]) -> str:
    sigmas = sorted({film["sigma_s"] for film in films if film.get("curves")})
    if not any(sigmas):
        return "Nothing is smoothed in the drawings, either."
    several = " to ".join(f"{sigma:g}" for sigma in dict.fromkeys((sigmas[0], sigmas[-1])))
    return (
        f"Drawings are smoothed by a Gaussian with a standard deviation of {several} s, over no edge and no step in who is there."
    )


def _with(models: Sequence[str]) -> str:
    return f" with the model{'s' if len(models) > 1 else ''} {', '.join(models)}" if models else ""


def _models(measured: Sequence[Viewer]) -> list[str]:
    """["mien-lite0 (sha256 1a2b3c4d…)"], from the settings of the timelines."""
    found = set()
    for viewer in measured:
        for timeline in viewer.timelines.values():
            then = (one["settings"] for one in timeline.settings.get("then", ()))  # another one may have gone on
            for settings in (timeline.settings, *then):
                for model in (settings.get("models", {}).get(kind) for kind in ("expression", "detector")):
                    if model and model.get("name"):
                        sha256 = str(model.get("sha256") or "")
                        found.add(model["name"] + (f" (sha256 {sha256[:12]}…)" if sha256 else ""))
    return sorted(found)
