"""The sockets of participants' cameras: frames with the film's time in, what was seen out; nothing that was answered is lost.

A frame of a film is kept before it is answered, and never gives way to a newer one. The page sends again whatever has no answer,
so a lost connection, a closed tab or a server that dies costs nothing. The frames are read by the thread that reads live views.
"""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.follow import Followed, Follower
from mien.study.definition import Study
from mien.types import Faces
from mien.web.capture import participant_log as logs
from mien.web.capture import wire
from mien.web.capture.log_file import Erased
from mien.web.capture.reader import Reader
from mien.web.capture.sockets import WAITING_MAX, Sockets
from mien.web.capture.views import DARK_LUMA, SETTLE_WITHIN_S, FrameClock, Line, Page, Read, spawn
from mien.web.capture.wire import WireError
from mien.web.database import AGAIN_S, Participant, StudyRow, passes
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.studies.participants import Measured, Participants, refuse_ended
from mien.web.writers import Writers

if TYPE_CHECKING:
    from mien.analyze import Analyzer, StreamState

CHECK = "check"
"""Stands for a film where only the camera is tried: nothing is kept, and the newest frame wins."""

ERASED = "All that was kept of you is erased."
SYNC_EVERY_S = 1.0
TELL_EVERY_S = 5.0

log = logging.getLogger(__name__)


class Person:
    """One participant before the camera, from the camera check to the last film: who is where, and who of them it is.

    last  where somebody was seen before this server began
    """

    def __init__(self, state: "StreamState", last: logs.LastSeen | None = None) -> None:
        self._state = state
        self._follower = Follower(last.box, last.captured_s, last.track) if last else Follower()
        self._clock = FrameClock(last.captured_s if last else None)

    def take(self, faces: Faces, emotions: NDArray[np.float32], captured_s: float, *, choose: bool) -> Followed:
        """Who of the next frame's faces it is. choose: as in the camera check, the largest."""
        clock = self._clock
        if clock.time_s is not None and captured_s - clock.origin_s < clock.time_s:  # the page's clock began anew
            clock.begin(captured_s, clock.time_s)
        time_s = clock.time_s = clock.at(captured_s)
        ids, _ = self._state.update(faces, time_s, emotions)
        if choose:
            return self._follower.choose(faces, ids, time_s)
        return self._follower.follow(faces, ids, time_s, self._state.tracks)


class Seat(Line):
    """One participant's camera during one film, while its page is there and until its last frame is read.

    writer    None for the camera check, and once it is closed
    full      called once, from the thread that reads, where the disk does not take more
    gone      called where another process has erased what is kept here, from any thread
    person    who sits there
    """

    person: Person

    def __init__(
        self, participant: Participant, study: StudyRow, stimulus: str, full: Callable[[], None], gone: Callable[[], None]
    ) -> None:
        super().__init__()
        self.participant, self.stimulus = participant.id, stimulus
        definition = Study.read(study.definition)
        self.every_s, self.baseline_s = definition.every_s, definition.baseline_s
        self.writer: logs.LookWriter | None = None
        self.keeps = stimulus != CHECK
        self.told_looks = 0
        self.gone_s = 0.0
        self.broken = False  # nothing can be kept any more
        self.full, self.gone = full, gone
        self.erased = False

    def answers(self, read: Read) -> list[str]:
        """Keeps one frame, and answers it; no answer where it could not be kept, so that the page sends it again."""
        head, faces = read.waiting.head, read.faces
        assert head.film_s is not None
        height, width = read.rgb.shape[:2]
        check = self.stimulus == CHECK
        followed = self.person.take(faces, read.emotions, head.captured_s, choose=check)
        box = None if followed.face is None else faces.boxes[followed.face]
        light, kept, expression = read.light, False, None
        if not check:
            if self.erased or self.broken or self.writer is None:
                return []
            try:
                size, part = (width, height), read.waiting.part
                judged = (read.reliability, read.flags)
                look = logs.look(head, part, size, light, faces, followed, read.emotions, read.labels, *judged)
                self.writer.add(look, read.waiting.picture)
            except Erased:
                self.gone()
                return []
            except (OSError, ValueError) as error:  # ValueError: closed in this moment, because all of it is erased
                if not self.erased:
                    log.warning("what a participant shows cannot be written: %s", error)
                    self.broken = True
                    self.full()
                return []
            kept = True
        elif followed.face is not None and read.relied_on[followed.face]:
            expression = read.labels[int(np.argmax(read.emotions[followed.face]))]
        seen = wire.Seen(
            sequence=head.sequence,
            film_s=head.film_s,
            faces=len(faces),
            track=followed.track,
            others=followed.others,
            box=None if box is None else wire.rounded(box, 2),
            width=width,
            height=height,
            size_px=None if box is None else round(float((box[2:] - box[:2]).min()), 1),
            light=round(light, 1),
            dark=light < DARK_LUMA or (followed.face is not None and "dark" in read.flags_of(followed.face)),
            expression=expression,
            kept=kept,
            dropped=self.dropped,
            work_ms=round(1000 * (time.perf_counter() - read.begun_s), 1),
        )
        return [seen.text()]

    def measured(self) -> Measured | None:
        """What there is to put down since the last time, None where that is nothing."""
        writer = self.writer
        if writer is None or self.erased or self.stimulus == logs.BASELINE or (writer.looks == self.told_looks and not self.gone_s):
            return None
        gone_s, self.gone_s, self.told_looks = self.gone_s, 0.0, writer.looks
        counts = {"looks": writer.looks, "with_face": writer.with_face, "with_others": writer.with_others}
        return Measured(self.participant, self.stimulus, writer.position_s, counts, gone_s)

    def untold(self, measured: Measured) -> None:
        """What `measured` gave could not be put down, and is to come again with the next."""
        self.told_looks = -1
        self.gone_s += measured.gone_s


class Watching(Sockets[wire.Watch, Seat]):
    """Everybody who is being measured now, at most one socket each."""

    hello, film = wire.Watch, True

    def __init__(self, settings: Settings, participants: Participants, reader: Reader, writers: Writers) -> None:
        super().__init__(settings, reader, settings.participants_at_once_max)
        self.participants = participants
        self._seats: dict[str, Seat] = {}
        self._gone: dict[tuple[str, str], float] = {}  # (participant, stimulus) → when the connection was lost
        self._people: dict[str, Person] = {}  # whom the camera checks showed
        self._turn: dict[str, asyncio.Lock] = {}
        self._sitting = threading.Lock()  # nobody begins while somebody is forgotten
        self._erased: set[str] = set()
        self.clock: Callable[[], float] = time.monotonic
        self._stopping = False
        self._ticking: asyncio.Task[Any] | None = None
        writers.add(self.forget)

    # --- with the server

    async def start(self) -> None:
        """Brings to the disk from now on what is written."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._ticking = spawn(self._tick_for_ever())

    async def stop(self) -> None:
        """Ends. Pages send again what has no answer as soon as they find a server."""
        self._stopping = True
        if self._ticking is not None:
            self._ticking.cancel()
        for seat in list(self._seats.values()):
            if seat.page is not None:
                await seat.page.close(1012)
        for seat in list(self._seats.values()):
            await self._settle(seat)

    @property
    def open(self) -> int:
        """How many participants are being measured."""
        return len(self._seats)

    def forget(self, id: str) -> None:
        """Ends the measuring of somebody who is about to be erased: nothing is written any more. From any thread."""
        with self._sitting:
            self._erased.add(id)
            self._people.pop(id, None)
            seat = self._seats.get(id)
        for key in [key for key in list(self._gone) if key[0] == id]:
            self._gone.pop(key, None)
        if seat is None:
            return
        seat.erased = True
        writer = seat.writer
        if writer is not None:
            with suppress(OSError):
                writer.close()
        self._from_thread(self._end(seat, "withdrawn", ERASED, wire.CLOSE_OVER))

    def _from_thread(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self._loop.call_soon_threadsafe(spawn, work)
        except RuntimeError:  # the loop has ended, and the pages with it
            work.close()

    # --- one socket

    async def begin(self, hello: wire.Watch, page: Page) -> Seat:
        """The seat of whose code it is, once whoever sat there has left it."""
        address = page.socket.client.host if page.socket.client else ""
        try:
            participant, study = await asyncio.to_thread(self._admit, hello, address)
        except ApiError as error:
            close = {401: wire.CLOSE_LOGIN, 429: wire.CLOSE_TOO_MANY}.get(error.status_code, wire.CLOSE_OVER)
            raise WireError(error.code, error.message, close=close) from error
        analyzer = await asyncio.to_thread(self.reader.prepare)
        async with self._turn.setdefault(participant.id, asyncio.Lock()):
            old = self._seats.get(participant.id)
            if old is not None:
                words = "This study is open in another window now, which goes on from here."
                await self._end(old, "taken_over", words, wire.CLOSE_TAKEN_OVER)
                await self._settle(old)
            seat = Seat(
                *(participant, study, hello.stimulus),
                full=lambda: self._from_thread(self._give_up(seat)),
                gone=lambda: self.forget(participant.id),
            )
            await asyncio.to_thread(self._sit_down, seat, participant, hello.resume, analyzer)
            seat.page = page
        gone_since = self._gone.pop((participant.id, hello.stimulus), None)
        if gone_since is not None:
            seat.gone_s = self.clock() - gone_since
        ready = wire.WatchReady(
            received=seat.accepted,
            labels=list(analyzer.labels),
            every_s=seat.every_s,
            baseline_s=seat.baseline_s,
            position_s=seat.writer.position_s if seat.writer is not None else None,
            limits=wire.WatchLimits(
                in_flight=wire.IN_FLIGHT if hello.stimulus == CHECK else WAITING_MAX,
                frame_max_kib=self.settings.live_frame_max_kib,
                frame_max_megapixels=self.settings.live_frame_max_megapixels,
            ),
        )
        page.tell(ready.text())
        return seat

    def _admit(self, hello: wire.Watch, address: str) -> tuple[Participant, StudyRow]:
        """Whose code it is, and the study; raises `ApiError` where this must not be measured now."""
        participant = self.participants.by_code(hello.code, address)
        study = self.participants.study_of(participant)
        if hello.stimulus in participant.order:
            # Frames that were taken before the network failed may come in after the end.
            if participant.step != "done":
                refuse_ended(study, participant)
            place = participant.order.index(hello.stimulus)
            at = int(participant.step[5:]) if participant.step.startswith("film:") else -1
            if participant.step not in ("after", "done") and place > at:
                raise ApiError(409, "too_early", "This film has not begun yet; go on to it first.")
        elif hello.stimulus in (CHECK, logs.BASELINE):
            refuse_ended(study, participant)
        else:
            raise ApiError(404, "not_found", f"There is no film {hello.stimulus[:40]!r} in this study.")
        return participant, study

    def _sit_down(self, seat: Seat, participant: Participant, resume: bool, analyzer: "Analyzer") -> None:
        """Opens the log of a seat, unless the person was erased in this moment: nothing may be written then. Raises `WireError`."""
        with self._sitting:
            if participant.id in self._erased:
                raise WireError("withdrawn", ERASED, close=wire.CLOSE_OVER)
            folder = self.participants.folder(participant)
            if participant.id not in self._people:
                last = None if seat.stimulus == CHECK else logs.last_seen(folder, (logs.BASELINE, *participant.order))
                self._people[participant.id] = Person(analyzer.begin(0.0), last)
            seat.person = self._people[participant.id]
            if seat.stimulus != CHECK:
                settings = analyzer.settings(seat.every_s) | {"smoothing_s": 0.0, "baseline_s": None}
                # The neutral face is a means, and no picture of it is needed.
                pictures = participant.pictures and seat.stimulus != logs.BASELINE
                seat.writer = writer = logs.LookWriter(folder, seat.stimulus, analyzer.labels, settings, pictures=pictures)
                seat.accepted, seat.told_looks = writer.received, writer.looks
                seat.part = writer.part + (writer.received >= 0 and not resume)
                if not self.participants.there(participant):  # another process erased them before the log was opened
                    writer.close()
                    shutil.rmtree(folder, ignore_errors=True)
                    raise WireError("withdrawn", ERASED, close=wire.CLOSE_OVER)
            self._seats[participant.id] = seat

    async def said(self, stream: Seat, text: str) -> None:
        raise WireError("bad_message", "After the hello come frames alone; open another socket for another film.")

    # --- its end

    async def _end(self, seat: Seat, code: str, words: str, close: int) -> None:
        """Tells a page that another one, or nobody, goes on, and closes its socket."""
        page, seat.page = seat.page, None
        if page is not None:
            await page.refuse(WireError(code, words), close)

    async def _give_up(self, seat: Seat) -> None:
        """The disk does not take more: the page keeps its frames and tries again later."""
        words = "The server's disk does not take more. What was measured until now is kept; it is tried again."
        await self._end(seat, "storage_full", words, wire.CLOSE_LATER)
        await self._settle(seat)

    def left(self, stream: Seat, *, for_good: bool) -> None:
        spawn(self._left(stream))

    async def _left(self, seat: Seat) -> None:
        """A page is gone; whatever it had sent is read first."""
        if self._stopping:
            return
        of_film = seat.stimulus not in (CHECK, logs.BASELINE)
        if of_film and not seat.erased:
            self._gone[seat.participant, seat.stimulus] = self.clock()
        await self._settle(seat)

    async def _settle(self, seat: Seat) -> None:
        """Waits for the last frame of a seat that nobody sits in any more, and closes its log."""
        await seat.until(lambda: not seat.queue and not seat.busy, SETTLE_WITHIN_S)
        measured = seat.measured()
        writer, seat.writer = seat.writer, None
        if writer is not None:
            with suppress(OSError):
                await asyncio.to_thread(writer.close)
        if self._seats.get(seat.participant) is seat:
            del self._seats[seat.participant]
        if measured is not None:
            try:
                await asyncio.to_thread(self.participants.measured, [measured])
            except Exception as error:
                if self._stopping or not passes(error):
                    raise
                spawn(self._put_down_later(measured))

    async def _put_down_later(self, measured: Measured) -> None:
        """As soon as the disk and the database can; where the person has come back meanwhile, it goes with what is new."""
        while True:
            await asyncio.sleep(AGAIN_S)
            seat = self._seats.get(measured.participant)
            if seat is not None and seat.stimulus == measured.stimulus:
                seat.untold(measured)
                return
            try:
                await asyncio.to_thread(self.participants.measured, [measured])
                return
            except Exception as error:
                if self._stopping or not passes(error):
                    raise

    async def _tick_for_ever(self) -> None:
        """Once a second what was written goes to the disk; now and then the study learns that there is more."""
        told_s = time.monotonic()
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            tell = time.monotonic() - told_s >= TELL_EVERY_S
            told_s = time.monotonic() if tell else told_s
            try:
                await asyncio.to_thread(self._sync, list(self._seats.values()), tell)
            except Exception as error:
                if not passes(error):
                    log.exception("what participants show cannot be brought to the disk")

    def _sync(self, seats: list[Seat], tell: bool) -> None:
        for seat in seats:
            writer = seat.writer  # which another thread may take away
            try:
                if writer is not None:
                    writer.sync()
            except Erased:
                seat.gone()
            except (OSError, ValueError):
                pass
        if tell:
            news = [(seat, measured) for seat in seats if (measured := seat.measured()) is not None]
            try:
                self.participants.measured([measured for _, measured in news])
            except Exception:
                for seat, measured in news:
                    seat.untold(measured)
                raise
