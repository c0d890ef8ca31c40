"""Compressed files, chunk by chunk, with a limit on how far they may expand."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.sources.readers.frame import UnreadableError

CHUNK = 1 << 20
MAX_RATIO = 200  # text compresses 5 to 20 times; beyond this it's a bomb
RATIO_FLOOR = 1 << 20  # below a megabyte nothing can do harm

Chunks = Iterator[bytes]


@dataclass(frozen=True)
class Compression:
    """One way to compress a whole file. `expand`: the chunks of one or more members or frames, decompressed."""

    name: str
    suffix: str
    mark: bytes
    expand: Callable[[Chunks], Chunks]


def check_ratio(made: int, read: int) -> None:
    """Block what expands beyond reason."""
    if made > RATIO_FLOOR and made > MAX_RATIO * read:
        raise UnreadableError(
            f"it decompresses to over {MAX_RATIO} times its size", "Is this the right file?"
        )


def _gunzip(chunks: Chunks) -> Chunks:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    read = made = 0
    for chunk in chunks:
        read += len(chunk)
        data = chunk
        while data:
            if inflate.eof:
                inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                plain = inflate.decompress(data, CHUNK)
            except zlib.error as error:
                raise _corrupt("gzip", error) from None
            made += len(plain)
            check_ratio(made, read)
            if plain:
                yield plain
            data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise _ends_early("gzip")


class _Feed:
    """Chunks as the file that Arrow wants to read from; what it holds back is at most one chunk."""

    closed = False

    def __init__(self, chunks: Chunks) -> None:
        self._chunks, self._rest, self.handed = chunks, b"", 0

    def read(self, size: int) -> bytes:
        while not self._rest and (more := next(self._chunks, b"")):
            self._rest = more
        taken, self._rest = self._rest[:size], self._rest[size:]
        self.handed += len(taken)
        return taken

    def close(self) -> None:
        self.closed = True


def _unzstd(chunks: Chunks) -> Chunks:
    feed = _Feed(chunks)
    made = 0
    with pa.CompressedInputStream(pa.PythonFile(feed, mode="r"), "zstd") as stream:
        while True:
            try:
                plain = stream.read(CHUNK)
            except pa.ArrowException as error:
                raise _corrupt("zstd", error) from None
            except OSError as error:
                if error.errno is not None:
                    raise  # the file system's own
                raise (
                    _ends_early("zstd") if "Truncated" in str(error) else _corrupt("zstd", error)
                ) from None
            if not plain:
                return
            made += len(plain)
            check_ratio(made, feed.handed)
            yield plain


COMPRESSIONS = (
    Compression("gzip", ".gz", b"\x1f\x8b", _gunzip),
    Compression("zstd", ".zst", b"\x28\xb5\x2f\xfd", _unzstd),
)


def strip_suffix(name: str) -> str:
    """A file name (lower case) without the suffix of its compression."""
    for known in COMPRESSIONS:
        name = name.removesuffix(known.suffix)
    return name


def _corrupt(name: str, error: Exception) -> UnreadableError:
    return UnreadableError(f"the {name} data is corrupt ({error})", "Fetch or compress the file again")


def _ends_early(name: str) -> UnreadableError:
    return UnreadableError(
        f"the {name} data ends too early", "The file is cut off or still being written: fetch it again"
    )
