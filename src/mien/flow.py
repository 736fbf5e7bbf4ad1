"""How items pass between two threads: `prefetch` for files, which never drops, and `Latest` for cameras, which keeps the newest.

Decoding lets go of the interpreter's lock, so it runs while the consumer computes. Both end their thread when the consumer stops
early, and both raise at the consumer what went wrong at the producer, after all items that came before it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

Until = Callable[[], bool]
"""Whether the consumer wants no more; asked while it waits for an item, so that one that never comes holds nobody up."""

_ASK_S = 0.1
PATIENCE_S = 10.0  # a producer that hangs in a driver or a socket is left behind after this; its thread is a daemon


def prefetch(items: Iterable[T], size: int = 4, until: Until | None = None) -> Iterator[T]:
    """The items in their order, fetched up to `size` ahead by one background thread.

    The thread starts with the first item asked for. It ends, and the iterator is closed in it, when the items are exhausted, when
    they raise (the exception comes out here, after the items before it), when `until` says so while no item is there, or when this
    generator is closed or dropped; closing waits for the item under way, 10 s at most. Raises `ValueError` where `size` is less
    than 1.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, but got {size}")
    return _handed_over(_Belt[T](items, size, keep="all", until=until))


class Latest(Generic[T]):
    """The newest of the items whenever the consumer asks; those that it was too slow for are counted in `dropped`.

    for frame in (newest := Latest(camera.frames())): ...

    One background thread drains the items as fast as they come. When they end, the last one is still given. Errors, early ends and
    `until` are as in `prefetch`. It can be gone through once: a second iteration is a `ValueError`.
    """

    def __init__(self, items: Iterable[T], until: Until | None = None) -> None:
        self._belt = _Belt[T](items, 1, keep="newest", until=until)
        self._begun = False

    @property
    def dropped(self) -> int:
        """How many items were replaced by a newer one before anybody took them."""
        return self._belt.dropped

    def __iter__(self) -> Iterator[T]:
        if self._begun:
            raise ValueError("a Latest can be gone through once; make another one from a new iterator")
        self._begun = True
        return _handed_over(self._belt)


class _Belt(Generic[T]):
    """A bounded queue with a producer thread. `queue.Queue` cannot be closed from the taking end; one condition does both."""

    def __init__(self, items: Iterable[T], size: int, keep: str, until: Until | None) -> None:
        self.items, self.size, self.keep, self.until = items, size, keep, until
        self.waiting: deque[T] = deque()
        self.dropped = 0
        self.ended = False  # the producer has no more
        self.stopped = False  # the consumer wants no more
        self.error: BaseException | None = None
        self.change = threading.Condition()
        # A daemon: a camera that hangs in its driver must not keep the program from ending.
        self.thread = threading.Thread(target=self._produce, name=f"mien-{keep}", daemon=True)

    def _produce(self) -> None:
        error: BaseException | None = None
        iterator: Iterator[T] | None = None
        try:
            iterator = iter(self.items)
            for item in iterator:
                if not self._put(item):
                    break
                del item  # a frame is large: it lives in the queue or at the consumer, not here as well while the next is made
        except BaseException as raised:  # whatever it is, it belongs to the consumer
            error = raised
        try:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = error or raised
        with self.change:
            self.error, self.ended = error, True
            self.change.notify_all()

    def _put(self, item: T) -> bool:
        """Whether the consumer wants more."""
        with self.change:
            if self.keep == "newest":
                self.dropped += len(self.waiting)
                self.waiting.clear()
            while len(self.waiting) >= self.size and not self.stopped:
                self.change.wait()
            if not self.stopped:
                self.waiting.append(item)
                self.change.notify_all()
            return not self.stopped

    def take(self) -> T:
        """The next item. Raises the producer's error, or `StopIteration` at the end."""
        with self.change:
            while not self.waiting and not self.ended:
                if self.until is not None and self.until():
                    raise StopIteration
                self.change.wait(None if self.until is None else _ASK_S)
            if self.waiting:
                self.change.notify_all()
                return self.waiting.popleft()
            error, self.error = self.error or StopIteration(), None
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: without this the last items would stay in memory until a collection

    def stop(self) -> None:
        with self.change:
            self.stopped = True
            self.waiting.clear()
            self.change.notify_all()
        # The garbage collector may drop the consumer from within the producer's thread, which cannot wait for itself.
        if self.thread.ident is not None and self.thread is not threading.current_thread():
            self.thread.join(PATIENCE_S)


def _handed_over(belt: _Belt[T]) -> Iterator[T]:
    belt.thread.start()
    try:
        while True:
            try:
                item = belt.take()
            except StopIteration:
                return
            yield item
            del item
    finally:
        belt.stop()
