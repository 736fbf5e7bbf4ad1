"""What a review says in one sentence, for the top of its page and its paper."""

from collections.abc import Mapping, Sequence
from typing import Any

LEAST_TESTED = 10
"""So many viewers at least before anything is said of chance; of fewer the numbers are shown, and no verdict."""
CLEAR = 0.05
"""A difference is called one where its p, corrected for all that was looked at beside it, lies below."""
_NEAR_S = 8.0  # from a marker to a peak that is told with it
_LISTED = 36  # letters of a marker's or a film's name in the sentence


def headline(review: Mapping[str, Any]) -> str:
    """One plain sentence: the moment that stands out most, what was marked there, in how many viewers it rose.

    `review` is a review as `mien.study_report.results.build` makes it. Where results are hidden the sentence is the reason.
    """
    if review["hidden"]:
        return str(review["hidden"])
    films = [film for film in review["stimuli"] if film["curves"]]
    if not films:
        return "Nobody has been measured yet."
    standing = [(film, moment) for film in films for moment in film["moments"]]
    if not standing and not any(film.get("tested", True) for film in films):
        many = _viewers(max(film["in_curves"] for film in films))
        return f"What the faces of {many} appeared to show is drawn; moments are named from {LEAST_TESTED} viewers on."
    if not standing:
        many = _viewers(max(film.get("in_curves") or film["viewers"] for film in films))
        what = "No moment stands out from what chance alone would give"
        where = "" if len(films) == 1 else f", in none of the {len(films)} films"
        return f"{what}{where}, in what the faces of {many} appeared to show."
    moment = clearest([one for _, one in standing])
    film = next(film for film, one in standing if one is moment)
    signal = "Valence" if moment["signal"] == "valence" else str(moment["signal"]).capitalize()
    verb = "appears " + ("lowest" if moment["direction"] == "down" else "highest" if moment["signal"] == "valence" else "most")
    scale = film["duration_s"] or film["times"][-1]
    where = f"In “{_cut(film['title'])}” {signal[0].lower()}{signal[1:]}" if len(films) > 1 else signal
    near = _marked(film, float(moment["time_s"]))
    change = "fell" if moment["direction"] == "down" else "rose"
    seen = moment.get("n") or film["viewers"]
    # Where so few rose that it is not told, the share is not known.
    rose = f"it {change} in {round(moment['share'] * seen)} of {_viewers(seen)}" if moment["share"] else ""
    sentence = f"{where} {verb} at {clock(moment['time_s'], scale)}{near}"
    more = len(standing) - 1
    rest = "" if not more else f" {_number(more)} more moment{'s' if more > 1 else ''} stand{'' if more > 1 else 's'} out."
    return f"{sentence}{': ' + rose if rose else ''}.{rest}"


def changed(signal: str, effect: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether something appears to change at a marker, by a point for sure and by more than chance after correction; and in words:
    its size by both ends of the interval."""
    n = round(effect["n"])
    if n < LEAST_TESTED:
        return False, f"too few to say: {n} of at least {LEAST_TESTED} viewers"
    low, high, p = effect["low"], effect["high"], effect["p_corrected"]
    if low is None or low <= 0 <= high or p is None or p >= CLEAR:
        return False, f"no clear change in {n} viewers"
    least, most = sorted((abs(low), abs(high)))
    way = "rise" if low > 0 else "fall"
    if least < 0.01:
        few = round(most * 100)
        return False, "hardly changes" if signal == "valence" or few < 2 else f"appears to {way} by {few} points at most"
    size = f"{least:.2f} to {most:.2f}" if signal == "valence" else f"{round(least * 100)} to {round(most * 100)} points"
    return True, f"appears to {way} by {size}"


def clearest(moments: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The moment that is told first: the largest rise of an expression; of valence only where no expression rose.

    Valence says less to a reader than the expression that moved it.
    """
    return max(moments, key=lambda moment: (moment["signal"] != "valence", abs(moment["rise"])))


def clock(seconds: float, scale: float) -> str:
    """A moment of a film of `scale` seconds, as the pages write it: "12.4 s", or "4:05" and "1:02:09" from two minutes on."""
    if scale < 120:
        return f"{seconds:.1f} s"
    whole = round(max(seconds, 0))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _marked(film: Mapping[str, Any], at: float) -> str:
    """Words on the marker that stands at or shortly before a moment."""
    best = None
    for marker in film["markers"]:
        within = marker["end_s"] is not None and marker["time_s"] <= at <= marker["end_s"]
        if (within or 0 <= at - marker["time_s"] <= _NEAR_S) and (best is None or marker["time_s"] > best["time_s"]):
            best = marker
    if best is None:
        return ""
    after = at - float(best["time_s"])
    within = best["end_s"] is not None and at <= best["end_s"]
    return f", {'during' if within else 'at' if after < 1 else f'{after:.0f} s after'} “{_cut(best['label'])}”"


def _cut(text: str) -> str:
    return text if len(text) <= _LISTED else text[: _LISTED - 1].rstrip() + "…"


def _viewers(n: int) -> str:
    return f"{n} viewer{'' if n == 1 else 's'}"


def _number(n: int) -> str:
    words = ("no", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return words[n] if n < len(words) else str(n)
