"""mien reads faces: which expression each appears to show, how sure it is, and how that changes through time.

    import mien

    analyzer = mien.Analyzer()
    timeline = analyzer.video("talk.mp4", every=0.5)
    mien.report.html(timeline, "talk.html")

Expressions are what faces appear to show, not what people feel.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mien.errors import DataError, MediaError, MienError, ModelError
from mien.types import Episode, Faces, Frame, FrameResult, MediaInfo, Timeline, Track

if TYPE_CHECKING:
    from mien import audience, draw, labels, report
    from mien.analyze import Analyzer, Recorder
    from mien.detect import Haar, YuNet
    from mien.emotion import Expressions
    from mien.episodes import EpisodeOptions, find_episodes
    from mien.media import VideoWriter, open_media, read_picture, write_picture
    from mien.models import load_model

__version__ = "0.1.0"

# What needs more than numpy is imported when it is first asked for, so that `import mien` stays light.
_LAZY = {
    "Analyzer": "mien.analyze",
    "EpisodeOptions": "mien.episodes",
    "Expressions": "mien.emotion",
    "Haar": "mien.detect",
    "Recorder": "mien.analyze",
    "VideoWriter": "mien.media",
    "YuNet": "mien.detect",
    "find_episodes": "mien.episodes",
    "load_model": "mien.models",
    "open_media": "mien.media",
    "read_picture": "mien.media",
    "write_picture": "mien.media",
}
_MODULES = ("audience", "draw", "labels", "report")

__all__ = [
    "Analyzer",
    "DataError",
    "Episode",
    "EpisodeOptions",
    "Expressions",
    "Faces",
    "Frame",
    "FrameResult",
    "Haar",
    "MediaError",
    "MediaInfo",
    "MienError",
    "ModelError",
    "Recorder",
    "Timeline",
    "Track",
    "VideoWriter",
    "YuNet",
    "audience",
    "draw",
    "find_episodes",
    "labels",
    "load_model",
    "open_media",
    "read_picture",
    "report",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mien.{name}")
    else:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
