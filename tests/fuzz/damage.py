"""What may become of the bytes of a file."""

from __future__ import annotations

import random
from collections.abc import Callable

BYTES = (b'"', b",", b"\n", b"\r", b"\r\n", b'""', b'"\n"', b"\0", b"\xff", b"\xef\xbb\xbf", b";", b"\t", b"|", b"{", b"}", b":", b"\\",
         b"\\u", b"\xc3", b"\x1a", b" ", b"\x80", b"=", b"PAR1", b"\x1f\x8b", b"null", b"1e999", b"\xed\xa0\x80")  # fmt: skip


def put_bytes(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        data = data[:at] + rng.choice(BYTES) + data[at + rng.choice((0, 0, 1, 3)) :]
    return data


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def cut_off(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _head_cut_off(rng: random.Random, data: bytes) -> bytes:
    return data[rng.randint(0, len(data)) :]


def piece_twice(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    stop = rng.randint(start, len(data))
    return data[:stop] + data[start:]


def piece_lost(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[rng.randint(start, min(len(data), start + 200)) :]


def _lines_shuffled(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _line_added(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    extra = rng.choice(
        [
            lines[0],
            b"\n",
            b"\n\n\n",
            b"Total,1,2\n",
            b"5 rows\n",
            b"sep=;\n",
            b",,,,\n",
            b'"\n',
            b"# note\n",
            b"[]\n",
            b"17\n",
            lines[-1],
        ]
    )
    at = rng.randint(0, len(lines))
    return b"".join([*lines[:at], extra, *lines[at:]])


def _other_encoding(rng: random.Random, data: bytes) -> bytes:
    name = rng.choice(
        ["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "latin-1", "shift_jis", "utf-32", "utf-7"]
    )
    return data.decode("utf-8", "replace").encode(name, "replace")


def _other_delimiter(rng: random.Random, data: bytes) -> bytes:
    return data.replace(rng.choice([b",", b";", b"\t", b"|"]), rng.choice([b",", b";", b"\t", b"|"]))


def _other_line_ends(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\x0b", "\u2028".encode(), b""]))


BYTE_CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    f.__name__.strip("_"): f
    for f in (put_bytes, flip_bits, cut_off, _head_cut_off, piece_twice, piece_lost, _lines_shuffled, _line_added, _other_encoding,
              _other_delimiter, _other_line_ends)
}  # fmt: skip
