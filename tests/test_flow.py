"""Two threads, one stream of items: nothing lost, nothing hidden, and nobody left waiting."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from mien.flow import Latest, prefetch

PATIENCE_S = 60.0
"""For what must come true: so long that only a fault makes a test fail, also on a machine that is busy with other things."""
ENDLESS = 10**15

pytestmark = pytest.mark.timeout(2 * PATIENCE_S)


class Source:
    """An iterator of numbers that notes what is done to it. `hold` lets one item through for each release."""

    def __init__(self, count: int, *, fail_at: int | None = None, fail_at_close: bool = False, hold: bool = False) -> None:
        self.count, self.fail_at, self.fail_at_close = count, fail_at, fail_at_close
        self.gate = threading.Semaphore(0) if hold else None
        self.made = 0
        self.closed_in: str | None = None

    def __iter__(self) -> "Source":
        return self

    def __next__(self) -> int:
        if self.gate is not None:
            assert self.gate.acquire(timeout=PATIENCE_S)
        if self.made == self.fail_at:
            raise OSError(f"no item {self.made}")
        if self.made == self.count:
            raise StopIteration
        self.made += 1
        return self.made - 1

    def close(self) -> None:
        self.closed_in = threading.current_thread().name
        if self.fail_at_close:
            raise RuntimeError("cannot close")


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("mien-")]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that only comes late is not left behind as one that hangs."""
    monkeypatch.setattr("mien.flow.PATIENCE_S", PATIENCE_S)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


def wait_for(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


# --- prefetch ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 4, 5, 1000])
@pytest.mark.parametrize("size", [1, 4])
def test_prefetch_gives_all_items_in_order(count: int, size: int) -> None:
    source = Source(count)
    assert list(prefetch(source, size)) == list(range(count))
    assert source.closed_in == "mien-all"


def test_prefetch_takes_what_is_no_iterator_yet() -> None:
    assert list(prefetch([3, None, 5])) == [3, None, 5]


def test_prefetch_is_at_most_size_ahead() -> None:
    source = Source(100)
    items = prefetch(source, 3)
    assert next(items) == 0
    # Three wait in the queue and one more is in the producer's hand.
    wait_for(lambda: source.made == 5)
    time.sleep(0.05)
    assert source.made == 5
    items.close()


def test_prefetch_does_nothing_before_the_first_item() -> None:
    source = Source(3)
    items = prefetch(source)
    assert (threads(), source.made) == ([], 0)
    assert next(items) == 0
    items.close()


@pytest.mark.parametrize("size", [0, -1])
def test_prefetch_refuses_a_size_at_once(size: int) -> None:
    with pytest.raises(ValueError, match=f"size must be 1 or more, but got {size}"):
        prefetch([], size)


def test_both_sides_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=PATIENCE_S)

    def items() -> Iterator[int]:
        yield 0
        meeting.wait()  # passes only while the consumer is busy with the first item
        yield 1

    out = prefetch(items())
    assert next(out) == 0
    meeting.wait()
    assert list(out) == [1]


# --- what both have in common --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_an_error_comes_after_the_items_before_it(flow: Any) -> None:
    source = Source(10, fail_at=3)
    seen: list[int] = []
    with pytest.raises(OSError, match="no item 3"):
        seen.extend(flow(source))  # extend keeps what it got before the error
    assert seen == [0, 1, 2] if flow is prefetch else seen[-1] == 2
    assert source.closed_in is not None
    assert source.closed_in.startswith("mien-")


@pytest.mark.parametrize("flow", [prefetch, Latest])
@pytest.mark.parametrize("fail_at_close", [False, True])
def test_leaving_early_ends_the_thread_and_closes_the_source(flow: Any, fail_at_close: bool) -> None:
    source = Source(ENDLESS, fail_at_close=fail_at_close)
    items = iter(flow(source))
    next(items)
    items.close()
    assert threads() == []
    assert source.closed_in is not None
    made = source.made
    time.sleep(0.02)
    assert source.made == made


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_a_consumer_that_wants_no_more_does_not_wait_for_an_item(flow: Any) -> None:
    source = Source(ENDLESS, hold=True)
    gate = source.gate
    assert gate is not None
    got: list[int] = []

    def until() -> bool:
        if got and source.gate is not None:
            source.gate = None  # else closing would wait for the item under way
            gate.release()
        return bool(got)

    gate.release()
    for item in flow(source, until=until):
        got.append(item)
    assert got == [0]
    assert source.closed_in is not None


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_an_error_at_the_consumer_ends_the_thread(flow: Any) -> None:
    source = Source(ENDLESS)

    def consume() -> None:
        for item in flow(source):
            raise KeyError(item)

    with pytest.raises(KeyError):
        consume()
    gc.collect()
    wait_for(lambda: threads() == [])
    assert source.closed_in is not None


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_dropping_the_generator_ends_the_thread(flow: Any) -> None:
    items = iter(flow(Source(ENDLESS)))
    next(items)
    assert len(threads()) == 1
    del items
    gc.collect()
    wait_for(lambda: threads() == [])


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_both_sides_fail(flow: Any) -> None:
    """The consumer's own error wins where it comes first; the producer's is not raised over it."""
    source = Source(10, fail_at=1, hold=True)
    items = iter(flow(source))
    assert source.gate is not None
    source.gate.release()
    assert next(items) == 0
    source.gate.release()
    wait_for(lambda: source.closed_in is not None)
    items.close()


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_an_error_in_close_is_not_hidden(flow: Any) -> None:
    with pytest.raises(RuntimeError, match="cannot close"):
        list(flow(Source(2, fail_at_close=True)))


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_an_error_in_making_the_iterator(flow: Any) -> None:
    class Unwilling:
        def __iter__(self) -> Iterator[int]:
            raise OSError("no camera")

    with pytest.raises(OSError, match="no camera"):
        list(flow(Unwilling()))


@pytest.mark.parametrize("flow", [prefetch, Latest])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_errors_that_are_no_exceptions_reach_the_consumer(flow: Any, error: type[BaseException]) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(error):
        list(flow(items()))


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_a_producer_that_hangs_is_left_behind(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.flow.PATIENCE_S", 0.05)
    source = Source(10, hold=True)
    items = iter(flow(source))
    assert source.gate is not None
    source.gate.release()
    assert next(items) == 0
    items.close()
    assert threads() != []  # it still hangs, and was not waited for
    source.gate.release()
    wait_for(lambda: threads() == [])
    assert source.closed_in is not None


@pytest.mark.parametrize("flow", [prefetch, Latest])
def test_items_do_not_stay_in_memory(flow: Any) -> None:
    class Item:
        pass

    alive: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(50):
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item

    most = 0
    for item in flow(items()):
        most = max(most, sum(ref() is not None for ref in alive))
        del item
    assert most <= 8
    assert sum(ref() is not None for ref in alive) == 0


# --- Latest --------------------------------------------------------------------------------------------------------------------


def test_latest_drops_the_older_and_counts_them() -> None:
    source = Source(10, hold=True)
    newest = Latest(source)
    items = iter(newest)
    assert source.gate is not None
    source.gate.release()
    assert next(items) == 0
    for _ in range(5):
        source.gate.release()
    wait_for(lambda: newest.dropped == 4)
    assert next(items) == 5
    for _ in range(5):
        source.gate.release()
    rest = list(items)
    assert rest[-1] == 9
    assert 2 + len(rest) + newest.dropped == 10


def test_latest_gives_the_last_item_though_the_source_has_ended() -> None:
    newest = Latest(Source(1000))
    items = iter(newest)
    first = next(items)
    wait_for(lambda: threads() == [])
    assert list(items) == ([999] if first != 999 else [])
    assert newest.dropped in (998, 999)


def test_latest_loses_nothing_where_the_consumer_is_quick() -> None:
    source = Source(50, hold=True)
    assert source.gate is not None
    newest = Latest(source)
    source.gate.release()
    seen = []
    for item in newest:
        seen.append(item)
        source.gate.release()
    assert (seen, newest.dropped) == (list(range(50)), 0)


def test_every_item_is_either_seen_or_counted() -> None:
    newest = Latest(Source(5000))
    seen = []
    for item in newest:
        seen.append(item)
    assert len(seen) + newest.dropped == 5000
    assert seen == sorted(set(seen))
    assert seen[-1] == 4999


def test_latest_can_be_gone_through_once() -> None:
    newest = Latest([1])
    assert list(newest) == [1]
    with pytest.raises(ValueError, match="a Latest can be gone through once"):
        iter(newest)
