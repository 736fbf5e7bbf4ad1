"""An upload as it comes: the parts of a multipart form, the file straight to the disk, never under the name that it came with."""

import contextlib
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mien.web.errors import ApiError

WRITTEN_AT_ONCE = 1 << 20
FIELD_BYTES_MAX = 4096
FIELDS_MAX = 32
NAME_LETTERS_MAX = 200


@dataclass(slots=True)
class Upload:
    """What came: the file's shown name and size, and the other fields. The file lies in the folder as `Upload.NAME`."""

    NAME: ClassVar[str] = "upload.bin"
    PART: ClassVar[str] = "upload.part"
    """Its name until it is whole."""

    name: str = ""
    size: int = 0
    fields: dict[str, str] = field(default_factory=dict)


def form(
    fields: dict[str, dict[str, Any]],
    example: dict[str, Any],
    *,
    required: Sequence[str] = ("file",),
    otherwise: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the API's description says of a route that reads such a body itself.

    fields     JSON schema of each field; that of `file` may say no more than what it is
    otherwise  schema of what the route takes as JSON instead, where it does
    """
    properties = fields | {"file": {"type": "string", "format": "binary"} | fields["file"]}
    schema = {"type": "object", "required": list(required), "properties": properties}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema, "example": example}}
    if otherwise is not None:
        content["application/json"] = {"schema": otherwise}
    return {"requestBody": {"required": True, "content": content}}


async def receive(request: Request, folder: Path, most_bytes: int) -> Upload:
    """Reads the body of a request; the field `file` goes to `folder`, which is made, the rest into memory.

    Raises `ApiError`: 415 for another kind of body, 400 for one that is cut off, 413 for a file of more than `most_bytes`, 422
    where there is no file or an empty one, 507 where the disk is full. What was written then is left to the caller.
    """
    kind, parameters = parse_options_header(request.headers.get("Content-Type", ""))
    boundary = parameters.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(415, "not_a_form", "Send the file as multipart/form-data, in a field named file.")
    try:
        await run_in_threadpool(folder.mkdir, parents=True)
        with (folder / Upload.PART).open("xb") as file:
            form = _Form(boundary, most_bytes)
            async for chunk in request.stream():
                form.feed(chunk)
                if len(form.pending) >= WRITTEN_AT_ONCE:
                    await run_in_threadpool(form.write, file)
            form.close()
            await run_in_threadpool(form.write, file)
        (folder / Upload.PART).rename(folder / Upload.NAME)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ApiError(507, "disk_full", "The disk is full. Make room, and send the file once more.") from error
        raise
    return form.upload


class _Form:
    """Takes the body in pieces; what belongs to the file waits in `pending` to be written."""

    def __init__(self, boundary: bytes, most_bytes: int) -> None:
        self.upload, self.most_bytes = Upload(), most_bytes
        self.pending = bytearray()
        self._files, self._ended = 0, False
        self._header_name = self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name: str | None = None
        self._value = bytearray()
        self._is_file = False
        callbacks = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_is,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }
        with _unreadable_is_told():
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]

    def feed(self, chunk: bytes) -> None:
        with _unreadable_is_told():
            self._parser.write(chunk)

    def close(self) -> None:
        with _unreadable_is_told():
            self._parser.finalize()
        if not self._ended:
            raise ApiError(400, "cut_off", "The upload broke off. Send the file once more.")
        if not self._files:
            raise ApiError(422, "no_file", "There is no file in it: wanted a picture or film in the field named file.")
        if not self.upload.size:
            name = self.upload.name
            raise ApiError(422, "empty", f"{name}: is empty (0 bytes), but wanted a picture or film; copy or record it again")

    def write(self, file: BinaryIO) -> None:
        file.write(self.pending)
        self.pending.clear()

    def _part_begins(self) -> None:
        self._headers, self._name, self._is_file = {}, None, False
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_is(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        _, said = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = said.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == "file"
        if not self._is_file:
            if len(self.upload.fields) >= FIELDS_MAX:
                raise ApiError(422, "invalid", f"There are more than {FIELDS_MAX} fields in the form.")
            return
        self._files += 1
        if self._files > 1:
            raise ApiError(422, "several_files", "There is more than one file in it. Send each on its own.")
        self.upload.name = plain_name(said.get(b"filename", b"").decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.upload.size += end - start
            if self.upload.size > self.most_bytes:
                mib = self.most_bytes // 2**20
                raise ApiError(
                    413,
                    "too_large",
                    f"{self.upload.name}: is larger than the {mib} MiB that are taken.",
                    headers={"Connection": "close"},
                )
            self.pending += data[start:end]
        else:
            self._value += data[start:end]
            if len(self._value) > FIELD_BYTES_MAX:
                raise ApiError(422, "invalid", f"The field {str(self._name)[:40]!r} is too long.")

    def _part_ends(self) -> None:
        if not self._is_file and self._name:
            if b"\0" in self._value or "\0" in self._name:
                raise ApiError(422, "invalid", "A field of the form holds a NUL, which no text can hold.")
            self.upload.fields[self._name] = self._value.decode("utf-8", "replace")

    def _ends(self) -> None:
        self._ended = True


@contextlib.contextmanager
def _unreadable_is_told() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise ApiError(400, "not_a_form", f"The form cannot be read: {error}") from None


def plain_name(given: str) -> str:
    """The name of a file as it is shown: without folders and what cannot be shown, never empty.

    Browsers write a quotation mark in it as %22.
    """
    name = given.replace("%22", '"').replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in name if c.isprintable()).strip()[:NAME_LETTERS_MAX] or "unnamed"
