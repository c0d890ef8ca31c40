"""From a file as it came to plain UTF-8 bytes: decompressed, transcoded, and only then copied. No records here."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.sources.readers.compression import CHUNK, COMPRESSIONS, Compression
from pipelines.sources.readers.frame import UnreadableError

_MARKS = (  # longer marks first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = frozenset({"utf-8", "utf-8-sig"})


@dataclass(frozen=True)
class PlainFile:
    """UTF-8 bytes on disk: the source itself, or a copy in the workspace. `sha256` is of the source's own bytes."""

    path: Path
    sha256: str
    bytes: int
    notes: Mapping[str, int] = field(default_factory=dict)


def open_plain(
    source: Path, encoding: str | None, new_file: Callable[[str], Path], head: int | None = None
) -> PlainFile:
    """Make `source` readable as UTF-8.

    `encoding` None means UTF-8 unless the file's own mark says UTF-16 or UTF-32. `new_file(suffix)` names a file in
    the workspace. With `head` only about that many bytes are copied, up to a line end, and nothing is hashed. Raises UnreadableError for empty, corrupt or over-compressed files and undecodable text, OSError
    as the file system raises it.
    """
    size = source.stat().st_size
    if size == 0:
        raise UnreadableError(
            "the file has 0 bytes", "Export it again; a file without rows still has a header"
        )
    digest = hashlib.sha256()
    packed = _compression_of(source)
    chunks = _hashed(_chunks(source), digest)
    notes: dict[str, int] = {}
    if packed is not None:
        chunks = packed.expand(chunks)
        notes["decompressed"] = 1
    first = next(chunks, b"")
    if not first:
        raise UnreadableError(
            "the file holds no data", "Export it again; a file without rows still has a header"
        )
    marked = next((name for mark, name in _MARKS if first.startswith(mark)), None)
    spoken = marked or encoding
    chunks = _chain(first, chunks)
    if spoken and codecs.lookup(spoken).name not in _UTF8:
        notes[f"transcoded_{spoken.replace('-', '')}"] = 1
        chunks = _transcode(chunks, spoken)
    elif packed is None and (head is None or size <= head):
        for _ in chunks:  # only hashed: the source can be read where it lies
            pass
        return PlainFile(source, digest.hexdigest(), size, notes)
    copy = new_file(".txt")
    with copy.open("wb") as out:
        for chunk in chunks:
            if head is not None and out.tell() + len(chunk) > head:
                out.write(_whole_lines(chunk[: head - out.tell()]))
                break
            out.write(chunk)
    return PlainFile(copy, digest.hexdigest(), size, notes)


def _compression_of(source: Path) -> Compression | None:
    packed = next((known for known in COMPRESSIONS if _starts_with(source, known.mark)), None)
    for known in COMPRESSIONS:
        if source.suffix.lower() == known.suffix and packed is not known:
            said = f"the file is called {known.suffix} but is not {known.name}"
            raise UnreadableError(said, "Rename it, or compress it again")
    return packed


def _whole_lines(data: bytes) -> bytes:
    """The data up to a line end that is, as far as a first look can tell, outside quotes."""
    stop = data.rfind(b"\n")
    for _ in range(64):
        earlier = data.rfind(b"\n", 0, max(stop, 0))
        if data.count(b'"', 0, stop + 1) % 2 == 0 or earlier < 0:
            break
        stop = earlier
    return data[: stop + 1]


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_bad_utf8(error: UnicodeDecodeError, offset: int) -> UnreadableError:
    """The block for bytes that are no UTF-8; `offset` is where the decoded piece began."""
    byte = error.object[error.start]
    return UnreadableError(
        f"byte 0x{byte:02X} at offset {offset + error.start:,} is not UTF-8",
        "Declare the file's encoding, for instance 'encoding: cp1252' (Windows) or 'encoding: latin-1'",
    )


def _starts_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _hashed(chunks: Iterator[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _transcode(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset = 0
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8")
            offset += len(chunk)
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        raise UnreadableError(
            f"the text is not {encoding} (near byte {offset:,}: {getattr(error, 'reason', error)})",
            "Declare the encoding the file really has",
        ) from None
