"""What a page or a program has to know before it asks for anything: version, model, labels, colours, limits."""

import logging
from functools import cache

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, Field

from mien import __version__, report
from mien.labels import COLOURS
from mien.web.errors import may_fail

INTERVALS_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)
router = APIRouter(tags=["Info"])


class Limits(BaseModel):
    """What is refused beyond these."""

    upload_max_mib: int = Field(examples=[4096])
    film_max_minutes: int
    picture_max_megapixels: int
    jobs_waiting_max: int
    live_sockets_max: int
    live_frame_max_kib: int
    live_frame_max_megapixels: int
    live_return_s: float
    recording_max_minutes: int
    storage_max_gib: int


class Info(BaseModel):
    """This server."""

    version: str = Field(examples=["0.1.0"])
    model: str = Field(description="the expression model", examples=["mien-lite0"])
    labels: list[str] = Field(description="the expressions, in the order of every list of scores", examples=[list(COLOURS)])
    colours: dict[str, dict[str, str]] = Field(
        description="for each expression its colour, on a light and on a dark page",
        examples=[{"happiness": {"light": "#e6a700", "dark": "#eec352"}}],
    )
    intervals_s: list[float] = Field(
        description="how often to look, for a choice; 0 looks at each frame", examples=[list(INTERVALS_S)]
    )
    limits: Limits
    looks_per_s: float = Field(
        description="looks that an analysis makes in a second: measured here, or what to expect before the first", examples=[88.0]
    )


@router.get("/api/info", summary="About this server", responses=may_fail(401))
def info(request: Request) -> Info:
    """Version, model, labels, colours and limits."""
    settings = request.app.state.settings
    name, labels = model_of(settings.model)
    return Info(
        version=__version__,
        model=name,
        labels=list(labels),
        colours=report.colours(labels),
        intervals_s=list(INTERVALS_S),
        limits=Limits(**{limit: getattr(settings, limit) for limit in Limits.model_fields}),
        looks_per_s=request.app.state.jobs.looks_per_s(),
    )


@cache
def model_of(name: str) -> tuple[str, tuple[str, ...]]:
    """A model's own name and its labels. Raises `ModelError`."""
    from mien.models import load_model

    spec = load_model(name).spec
    return spec.name, tuple(spec.heads[0].labels)


def warm(app: FastAPI) -> None:
    """Imports what is slow to import and reads the model while the first page is looked at; what fails is told where it is used.

    Gives up between two steps when the server stops meanwhile.
    """

    def one_thread() -> None:
        import cv2

        cv2.setNumThreads(1)  # as for every command, see mien.cli

    state = app.state
    try:
        for step in (one_thread, lambda: model_of(state.settings.model), state.live.reader.prepare):
            if not state.stopping.is_set():
                step()
    except Exception:
        log.exception("the model cannot be read")
