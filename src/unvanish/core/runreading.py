"""Read the file of a watched run: while it is written, after a kill, or when it has ended."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.packing import MalformedError, unpacker
from unvanish.core.runlayout import code_of, companions, is_run, unpack
from unvanish.core.runs import (
    RUN_SCHEMA,
    EventKind,
    LayerSeries,
    RankSums,
    RunConditions,
    RunEvent,
    RunRecording,
    StepSeries,
    WatchedLayer,
)

_PATIENCE: Final = 5.0
"""Seconds to wait for a writer, where the file system has no write-ahead log."""

Q = TypeVar("Q", LayerQuantity, StepQuantity)


def read_run(path: str | Path) -> RunRecording:
    """Read a run from its file, as far as it has been written.

    Args:
        path: What `unvanish.observe` or `unvanish run` writes. It is not changed.

    Returns:
        The recording; its rows are arrays of 32-bit numbers.

    Raises:
        UnvanishError: If the file is missing, no recording of a run, damaged, or from a newer
            version.
    """
    file = Path(path)
    _check(file)
    try:
        with _opened(file) as connection:
            return recording_in(connection)
    except UnvanishError as error:
        raise UnvanishError(error.what, where=str(path), help=error.help) from None
    except sqlite3.OperationalError as error:
        if code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN):
            raise UnvanishError(
                f"the recording cannot be read now: {error}", where=str(path)
            ) from None
        raise UnvanishError(f"the recording is damaged: {error}", where=str(path)) from None
    except (sqlite3.Error, OSError, ValueError) as error:
        raise UnvanishError(f"the recording is damaged: {error}", where=str(path)) from None


def recording_in(connection: sqlite3.Connection) -> RunRecording:
    """Read a run from an open database.

    Args:
        connection: The database; one transaction sees one state of it.

    Returns:
        The recording.

    Raises:
        UnvanishError: If it is damaged, or from a newer version.
    """
    try:
        meta: dict[str, str] = dict(connection.execute("SELECT key, value FROM meta"))
        schema = int(meta["schema"])
        if schema > RUN_SCHEMA:
            raise UnvanishError(
                "the recording was written by a newer unvanish: "
                f"its schema is {schema}, this version reads up to {RUN_SCHEMA}",
                help="pip install --upgrade unvanish",
            )
        return _READERS[schema](connection, meta)
    except KeyError as error:
        raise UnvanishError(f"the recording is damaged: {error.args[0]!r} is missing") from None
    except (MalformedError, TypeError, ValueError) as error:
        raise UnvanishError(f"the recording is damaged: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """What can be read of a recording at once, however long it is.

    Attributes:
        started: Unix time in seconds at which it was begun.
        is_closed: Whether nothing more is to come, however it ended.
        contents: Of the last sums of one process of several; empty for one process.
    """

    started: float
    is_closed: bool
    contents: str


def read_head(path: str | Path) -> RunHead | None:
    """Return the head of a recording; None where there is none that can be read now.

    Args:
        path: Any file.
    """
    if not is_run(path):
        return None
    try:
        with _opened(Path(path)) as connection:
            meta = dict(connection.execute("SELECT key, value FROM meta"))
            last = None
            if _has_sums(connection):
                last = connection.execute(
                    "SELECT text FROM contents ORDER BY id DESC LIMIT 1"
                ).fetchone()
            return RunHead(
                started=float(meta.get("started", "0")),
                is_closed="ended" in meta,
                contents="" if last is None else last[0],
            )
    except (sqlite3.Error, OSError, ValueError):
        return None


# --- files ---------------------------------------------------------------------------


def _check(file: Path) -> None:
    """Refuse what is no recording, before a database is made of it."""
    try:
        size = file.stat().st_size
        if file.is_file():
            file.open("rb").close()
    except OSError as error:
        raise UnvanishError(
            f"the recording cannot be read: {error.strerror}", where=str(file)
        ) from None
    if not is_run(file):
        raise UnvanishError(
            "this file is empty" if size == 0 else "this is not the recording of a run",
            where=str(file),
            help="unvanish run train.py   records one",
        )


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database to read: in place, and as a copy where its folder lets nobody write."""
    try:
        connection = _connected(file, "ro")
    except sqlite3.OperationalError as error:
        if code_of(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        with _copied(file) as copy, closing(_connected(copy, "rw")) as connection:
            yield connection
    else:
        with closing(connection):
            yield connection


def _connected(file: Path, mode: str) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_PATIENCE)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM meta").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _copied(file: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="unvanish-") as folder:
        for part in (file, *companions(file)):
            if part.exists() and not part.name.endswith("-shm"):
                shutil.copyfile(part, Path(folder) / part.name)
        yield Path(folder) / file.name


# --- the first layout ----------------------------------------------------------------


def _read_1(connection: sqlite3.Connection, meta: dict[str, str]) -> RunRecording:
    names: dict[int, str] = dict(connection.execute("SELECT id, name FROM quantities"))
    by_layer = {
        quantity: LayerSeries(quantity, tuple(rows), tuple(rows.values()))
        for quantity, rows in _layer_rows(connection, names).items()
    }
    by_step = {
        quantity: StepSeries(quantity, tuple(values), array("d", values.values()))
        for quantity, values in _step_values(connection, names).items()
    }
    events = tuple(
        RunEvent(step=step, kind=EventKind(kind), text=text, layer=layer)
        for step, kind, text, layer in connection.execute(
            "SELECT step, kind, text, layer FROM events ORDER BY step, rowid"
        )
    )
    seen = (
        *(series.steps[-1] for series in by_layer.values()),
        *(series.steps[-1] for series in by_step.values()),
        *(event.step for event in events),
        int(meta.get("last_step", "-1")),
    )
    return RunRecording(
        conditions=_packed(meta, "conditions", RunConditions, RunConditions()),
        layers=_packed(meta, "layers", tuple[WatchedLayer, ...], ()),
        by_layer=by_layer,
        by_step=by_step,
        events=events,
        last_step=max(seen),
        is_ended=meta.get("ended") == "1",
        started=float(meta.get("started", "0")),
        sums=_rank_sums(connection),
    )


_READERS: Final[dict[int, Callable[[sqlite3.Connection, dict[str, str]], RunRecording]]] = {
    1: _read_1
}
"""Version of the layout to its reader. A version that was ever released keeps its own."""


def _packed(meta: dict[str, str], key: str, hint: Any, otherwise: Any) -> Any:
    return unpacker(hint)(json.loads(meta[key])) if key in meta else otherwise


def _layer_rows(
    connection: sqlite3.Connection, names: dict[int, str]
) -> dict[LayerQuantity, dict[int, Sequence[float]]]:
    found: dict[LayerQuantity, dict[int, Sequence[float]]] = {}
    known = _known(LayerQuantity, names)
    for step, numbers, data in connection.execute(
        "SELECT step, quantities, data FROM layer_samples ORDER BY rowid"
    ):
        for number, row in zip(numbers, unpack(data, len(numbers)), strict=True):
            if (quantity := known.get(number)) is not None:
                rows = found.setdefault(quantity, {})
                rows[step] = _merged(rows[step], row) if step in rows else row
    return {quantity: dict(sorted(rows.items())) for quantity, rows in found.items()}


def _step_values(
    connection: sqlite3.Connection, names: dict[int, str]
) -> dict[StepQuantity, dict[int, float]]:
    found: dict[StepQuantity, dict[int, float]] = {}
    known = _known(StepQuantity, names)
    for step, number, value in connection.execute(
        "SELECT step, quantity, value FROM step_values ORDER BY rowid"
    ):
        if (quantity := known.get(number)) is not None:
            found.setdefault(quantity, {})[step] = math.nan if value is None else value
    return {quantity: dict(sorted(values.items())) for quantity, values in found.items()}


def _rank_sums(connection: sqlite3.Connection) -> tuple[RankSums, ...]:
    """Return what one process of several added up; a file may be older than the table."""
    if not _has_sums(connection):
        return ()
    texts: dict[int, str] = dict(connection.execute("SELECT id, text FROM contents"))
    rows = connection.execute("SELECT step, contents, data FROM sums ORDER BY step, rowid")
    return tuple(RankSums(step, texts[number], data) for step, number, data in rows)


def _has_sums(connection: sqlite3.Connection) -> bool:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sums'").fetchone()
    return known is not None


def _known(kind: type[Q], names: dict[int, str]) -> dict[int, Q]:
    """Return what the numbers of quantities stand for; those this version does not know are out."""
    members = {member.value: member for member in kind}
    return {number: members[name] for number, name in names.items() if name in members}


def _merged(earlier: Sequence[float], later: Sequence[float]) -> Sequence[float]:
    merged = array("f", earlier)
    merged.extend(later[len(merged) :])
    for index, value in enumerate(later):
        if not math.isnan(value):
            merged[index] = value
    return merged
