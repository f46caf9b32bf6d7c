"""How a watched run lies in its SQLite file: tables, rows of numbers, the files beside it."""

from __future__ import annotations

import math
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Final

APPLICATION: Final = 0x556E7652
"""What stands at byte 68 of a recording, where SQLite keeps the owner of a file: ``UnvR``."""

TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE quantities (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT NOT NULL, formula TEXT NOT NULL
);
CREATE TABLE layer_samples (step INTEGER NOT NULL, quantities BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE step_values (step INTEGER NOT NULL, quantity INTEGER NOT NULL, value REAL);
CREATE TABLE events (
    step INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, layer INTEGER NOT NULL
);
CREATE TABLE contents (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE sums (step INTEGER NOT NULL, contents INTEGER NOT NULL, data BLOB NOT NULL);
CREATE VIEW step_series AS
    SELECT name AS quantity, step, value FROM step_values JOIN quantities ON id = quantity;
"""

_LEVEL: Final = 1
"""Of the compression: what higher ones save is noise in the last bits."""

_WORTHWHILE: Final = 4096
"""Bytes from which on compressing is worth its time."""

_PLAIN: Final = b"\0"
"""What stands in front of numbers that are not compressed; nothing compressed begins so."""


def is_run(path: str | Path) -> bool:
    """Tell whether a file is the recording of a run, whole or not, by its first bytes.

    Args:
        path: Any file; one that is not there, or cannot be read, is none.
    """
    try:
        with Path(path).open("rb") as file:
            header = file.read(72)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3\0") and header[68:] == APPLICATION.to_bytes(4, "big")


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite; 255 where the error is Python's own."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files that may belong to a recording while it is written, or after a kill."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))


def pack(rows: Sequence[Sequence[float]]) -> bytes:
    """Return rows of numbers as bytes; `unpack` is its inverse up to 32 bits.

    Args:
        rows: The rows; a shorter one is filled up with ``nan``.
    """
    width = max(map(len, rows), default=0)
    numbers = array("f")
    for row in rows:
        numbers.extend(row)
        numbers.extend((math.nan,) * (width - len(row)))
    if sys.byteorder == "big":
        numbers.byteswap()
    data = numbers.tobytes()
    if len(data) < _WORTHWHILE:
        return _PLAIN + data
    return zlib.compress(b"".join([data[k::4] for k in range(4)]), _LEVEL)


def unpack(data: bytes, count: int) -> list[array[float]]:
    """Return the rows of numbers that `pack` wrote.

    Args:
        data: What `pack` returned.
        count: How many rows there were.

    Returns:
        The rows, all of one length.

    Raises:
        ValueError: If the bytes are no such rows.
    """
    plain = data[1:] if data.startswith(_PLAIN) else _decompressed(data)
    size, rest = divmod(len(plain), 4)
    if rest or (size % count if count else size):
        raise ValueError("numbers of layers are cut off")
    numbers = array("f")
    numbers.frombytes(plain)
    if sys.byteorder == "big":
        numbers.byteswap()
    width = size // count if count else 0
    return [numbers[k * width : (k + 1) * width] for k in range(count)]


def _decompressed(data: bytes) -> bytes:
    try:
        sorted_bytes = zlib.decompress(data)
    except zlib.error:
        raise ValueError("numbers of layers are not readable") from None
    size, rest = divmod(len(sorted_bytes), 4)
    if rest:
        raise ValueError("numbers of layers are cut off")
    plain = bytearray(len(sorted_bytes))
    for k in range(4):
        plain[k::4] = sorted_bytes[k * size : (k + 1) * size]
    return bytes(plain)
