import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.web.capture.wire import (
    FILM_HEADER,
    HEADER,
    MAX_CAPTURED_S,
    MAX_FILM_S,
    Failure,
    FrameHead,
    Hello,
    Record,
    Watch,
    WireError,
    pack_frame,
    read_frame,
    read_message,
)

HEADS = st.builds(
    FrameHead,
    st.integers(0, 2**32 - 1),
    st.floats(-MAX_CAPTURED_S, MAX_CAPTURED_S),
    st.booleans(),
    st.booleans(),
)


def test_the_header_is_as_agreed() -> None:
    """Written out by hand, as a page in another language would."""
    message = pack_frame(FrameHead(7, 1.5, late=True, of_recording=True), b"\xff\xd8")
    assert message == b"\x01\x03\x00\x00\x07\x00\x00\x00" + struct.pack("<d", 1.5) + b"\xff\xd8"
    assert HEADER.size == 16


@given(HEADS, st.binary(min_size=1, max_size=64))
def test_what_is_packed_is_read(head: FrameHead, picture: bytes) -> None:
    assert read_frame(pack_frame(head, picture), max_bytes=64) == (head, picture)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_a_wire_error(message: bytes) -> None:
    try:
        head, picture = read_frame(message, max_bytes=32)
    except WireError as error:
        told = error
    else:
        assert pack_frame(head, picture) == message
        assert 1 <= len(picture) <= 32
        assert math.isfinite(head.captured_s)
        return
    assert told.code in ("bad_frame", "frame_too_large")
    assert told.message.endswith(".")
    assert json.loads(Failure.of(told).text())["error"] == {"code": told.code, "message": told.message}


@given(st.integers(1, 3), st.binary(min_size=14, max_size=14), st.binary(max_size=40))
def test_bytes_that_begin_right_are_a_frame_or_a_wire_error(flags: int, rest: bytes, picture: bytes) -> None:
    test_any_bytes_are_a_frame_or_a_wire_error.hypothesis.inner_test(bytes([1, flags, 0, 0]) + rest[2:] + picture)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "code", "says", "sequence"),
    [
        (b"", "bad_frame", "begins with 16 bytes of header, but 0 bytes", None),
        (b"\x01" * 15, "bad_frame", "but 15 bytes came", None),
        (HEADER.pack(2, 0, 0, 5, 1.0) + b"x", "bad_frame", "one of version 2 came", None),
        (HEADER.pack(1, 4, 0, 5, 1.0) + b"x", "bad_frame", "but 4 and 0 came", 5),
        (HEADER.pack(1, 0, 9, 5, 1.0) + b"x", "bad_frame", "but 0 and 9 came", 5),
        (HEADER.pack(1, 0, 0, 5, math.nan) + b"x", "bad_frame", "finite number of seconds, but nan", 5),
        (HEADER.pack(1, 0, 0, 5, math.inf) + b"x", "bad_frame", "finite number of seconds, but inf", 5),
        (HEADER.pack(1, 0, 0, 5, 1.0), "bad_frame", "without a picture", 5),
        (HEADER.pack(1, 0, 0, 5, 1.0) + b"x" * 2049, "frame_too_large", "may have 2 KiB, but one of 3 KiB", 5),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(message: bytes, code: str, says: str, sequence: int | None) -> None:
    with pytest.raises(WireError, match=says) as caught:
        read_frame(message, max_bytes=2048)
    assert (caught.value.code, caught.value.sequence) == (code, sequence)


# --- participants

FILM_HEADS = st.builds(
    FrameHead,
    st.integers(0, 2**32 - 1),
    st.floats(-MAX_CAPTURED_S, MAX_CAPTURED_S),
    st.booleans(),
    st.just(False),
    st.floats(0, MAX_FILM_S),
)


def test_the_header_of_a_film_is_as_agreed() -> None:
    message = pack_frame(FrameHead(7, 1.5, late=True, film_s=42.25), b"\xff\xd8")
    assert message == b"\x02\x01\x00\x00\x07\x00\x00\x00" + struct.pack("<dd", 1.5, 42.25) + b"\xff\xd8"
    assert FILM_HEADER.size == 24


@given(FILM_HEADS, st.binary(min_size=1, max_size=64))
def test_what_is_packed_of_a_film_is_read(head: FrameHead, picture: bytes) -> None:
    assert read_frame(pack_frame(head, picture), max_bytes=64, film=True) == (head, picture)


@given(st.binary(max_size=80) | st.binary(min_size=20, max_size=60).map(lambda rest: b"\x02\x01\x00\x00" + rest))
def test_any_bytes_are_a_frame_of_a_film_or_a_wire_error(message: bytes) -> None:
    try:
        head, picture = read_frame(message, max_bytes=32, film=True)
    except WireError as error:
        told = error
    else:
        assert pack_frame(head, picture) == message
        assert math.isfinite(head.captured_s)
        assert head.film_s is not None
        assert 0 <= head.film_s <= MAX_FILM_S
        return
    assert told.code in ("bad_frame", "frame_too_large")
    assert told.message.endswith(".")


@pytest.mark.parametrize(
    ("message", "says", "sequence"),
    [
        (b"\x02" * 23, "begins with 24 bytes of header, but 23 bytes", None),
        (HEADER.pack(1, 0, 0, 5, 1.0) + b"x" * 20, "of version 2 are understood, but one of version 1", None),
        (FILM_HEADER.pack(2, 2, 0, 5, 1.0, 1.0) + b"x", "0 to 1 and its reserved bytes 0, but 2 and 0", 5),
        (FILM_HEADER.pack(2, 0, 1, 5, 1.0, 1.0) + b"x", "but 0 and 1 came", 5),
        (FILM_HEADER.pack(2, 0, 0, 5, math.nan, 1.0) + b"x", "finite number of seconds, but nan", 5),
        (FILM_HEADER.pack(2, 0, 0, 5, 1.0, math.nan) + b"x", "film's time must be 0 s or more, but nan", 5),
        (FILM_HEADER.pack(2, 0, 0, 5, 1.0, -0.1) + b"x", "film's time must be 0 s or more, but -0.1", 5),
        (FILM_HEADER.pack(2, 0, 0, 5, 1.0, 1e7) + b"x", "but 10000000", 5),
        (FILM_HEADER.pack(2, 0, 0, 5, 1.0, 1.0), "without a picture", 5),
    ],
)
def test_what_is_wrong_with_a_frame_of_a_film_is_said(message: bytes, says: str, sequence: int | None) -> None:
    with pytest.raises(WireError, match=says) as caught:
        read_frame(message, max_bytes=2048, film=True)
    assert (caught.value.code, caught.value.sequence) == ("bad_frame", sequence)


def test_the_hello_of_a_participant() -> None:
    hello = read_message('{"type":"hello","code":"K7PM-4QXD-9RTB","stimulus":"s1","resume":true}', Watch)
    assert hello == Watch(type="hello", code="K7PM-4QXD-9RTB", stimulus="s1", resume=True)
    for text, says in (("{}", "at type"), ('{"type":"hello","code":"x"}', "at stimulus"), ("[1]", "object"), ("", "Invalid JSON")):
        with pytest.raises(WireError, match=says) as caught:
            read_message(text, Watch)
        assert caught.value.code == "bad_message"


# --- words


def test_messages_of_a_page() -> None:
    hello = read_message('{"type":"hello","source":"screen","name":"Tab","resume":null,"smoothing_s":0.2}', Hello)
    assert hello == Hello(type="hello", source="screen", name="Tab", resume=None, smoothing_s=0.2)
    assert read_message('{"type":"hello"}', Hello) == Hello(type="hello")
    record = read_message('{"type":"record","action":"start","keep_film":true,"name":null,"every_s":0.2}', Record)
    assert record == Record(type="record", action="start", keep_film=True, every_s=0.2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "type"),
        ('{"type":"dance"}', "at type"),
        ('{"type":"hello","source":"radio"}', "at source"),
        ('{"type":"hello","name":' + json.dumps("x" * 300) + "}", "at name"),
        ('{"type":"hello","smoothing_s":-1}', "at smoothing_s"),
        ('{"type":"hello","smoothing_s":NaN}', "finite|JSON"),
        ('{"type":"hello","colour":"red"}', "at colour"),
        ('{"type":"record"}', "at action"),
        ('{"type":"record","action":"rewind"}', "at action"),
        ("x" * 20_000, "may have 16384 characters, but one of 20000"),
        ("[" * 5000, "Invalid JSON"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(text: str, says: str) -> None:
    with pytest.raises(WireError, match=says) as caught:
        read_message(text, Record if '"record"' in text else Hello)
    assert caught.value.code == "bad_message"
    assert len(caught.value.message) < 500


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["type", "source", "name", "resume", "smoothing_s", "action", "keep_film", "every_s"])
NEARLY = st.dictionaries(FIELDS, JSON | st.sampled_from(["hello", "record", "start", "camera"]), max_size=6)


@given(st.text(max_size=200) | (JSON | NEARLY).map(json.dumps), st.sampled_from([Hello, Record, Watch]))
def test_any_text_is_a_message_or_a_wire_error(text: str, kind: type[Hello | Record | Watch]) -> None:
    try:
        assert isinstance(read_message(text, kind), kind)
    except WireError as error:
        sent = json.loads(Failure.of(error).text())
        if (sent["type"], sent["error"]["code"]) != ("error", "bad_message"):
            raise
