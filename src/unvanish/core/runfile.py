"""A watched run as one SQLite file: written step by step, readable meanwhile and after a kill.

Rows are only ever added. What one step measured at the layers is one row: numbers of 32 bits, a
quantity after the other, their bytes sorted by significance and compressed. Numbers of the whole
run are ordinary columns.
The header of the file carries `APPLICATION`, so that a recording is known by its first bytes, and
the table ``meta`` the version of the layout.

While a run goes on, ``FILE-wal`` and ``FILE-shm`` belong to the file; closing leaves one file.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import RUN_GLOSSARY, LayerQuantity, StepQuantity
from unvanish.core.packing import packer
from unvanish.core.runlayout import APPLICATION, TABLES, code_of, companions, is_run, pack
from unvanish.core.runreading import read_run, recording_in
from unvanish.core.runs import RUN_SCHEMA, RunConditions, RunEvent, RunRecording, WatchedLayer

__all__ = ["RunWriter", "is_run", "next_free", "read_run"]

_COMMITS_A_SECOND: Final = 20
"""A write is committed at once unless more than these were, within a second."""

_COMMITS_WITHOUT_LOG: Final = 2
"""The same where each waits for the disk twice, since there is no write-ahead log."""

_PATIENCE: Final = 0.2
"""Seconds that a write waits for a reader, where the file system has no write-ahead log."""


class RunWriter:
    """Writes a run as it goes on. Safe to kill at any moment: what is committed stays.

    A process that was forked from the one that made it writes nothing. All of it may be called
    from any thread.

    Args:
        path: File to make; None keeps the recording in memory.
        started: Unix time at which the run was begun; None for now.

    Raises:
        UnvanishError: If the file exists or cannot be made.
    """

    def __init__(self, path: str | Path | None = None, *, started: float | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._quantities = {name: number for number, name in enumerate(RUN_GLOSSARY)}
        self._contents: dict[str, int] = {}
        self._refilled = time.monotonic()
        self._kept: RunRecording | None = None
        self._connection: sqlite3.Connection | None = (
            _made(":memory:") if self.path is None else _made_file(self.path)
        )
        self._leaving = weakref.finalize(self, _left, self._connection, self._process)
        (journal,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        self._rate = _COMMITS_WITHOUT_LOG if journal == "delete" else _COMMITS_A_SECOND
        self._tokens = float(self._rate)
        self._note("started", repr(time.time() if started is None else float(started)))

    @property
    def is_open(self) -> bool:
        """Whether it can be written: not closed, and not in a forked process."""
        return self._connection is not None and os.getpid() == self._process

    def conditions(self, conditions: RunConditions) -> None:
        """Write under which conditions the run is watched; replaces what was written before."""
        self._note("conditions", json.dumps(packer(RunConditions)(conditions), allow_nan=False))

    def layers(self, layers: Sequence[WatchedLayer]) -> None:
        """Write what is watched; replaces what was written before."""
        packed = packer(tuple[WatchedLayer, ...])(tuple(layers))
        self._note("layers", json.dumps(packed, allow_nan=False))

    def sample(self, step: int, values: Mapping[LayerQuantity, Sequence[float]]) -> None:
        """Write what one step measured at the layers.

        Args:
            step: The step. Several samples of one step add up; a number takes the place of an
                earlier one, ``nan`` does not.
            values: Quantity to one number a layer, ``nan`` where it was not measured. They are
                kept in 32 bits.
        """
        if self.is_open and values:
            quantities = bytes([self._quantities[quantity] for quantity in values])
            row = (int(step), quantities, pack(list(values.values())))
            self._write("INSERT INTO layer_samples VALUES (?, ?, ?)", [row])

    def steps(self, quantity: StepQuantity, values: Iterable[tuple[int, float]]) -> None:
        """Write a quantity of the whole run.

        Args:
            quantity: What was measured.
            values: Step and value; a later value takes the place of an earlier one.
        """
        number = self._quantities[quantity]
        rows = [(int(step), number, float(value)) for step, value in values]
        self._write("INSERT INTO step_values VALUES (?, ?, ?)", rows)

    def sums(self, step: int, contents: str, data: bytes) -> None:
        """Write what one process of several added up, which `read_run` gives back as it is.

        Args:
            step: The step.
            contents: What stands in `data`; a text that recurs is written once.
            data: The sums, packed.
        """
        number = self._contents.get(contents)
        if number is None:
            number = self._contents[contents] = len(self._contents)
            self._write("INSERT INTO contents VALUES (?, ?)", [(number, contents)])
        self._write("INSERT INTO sums VALUES (?, ?, ?)", [(int(step), number, data)])

    def event(self, event: RunEvent) -> None:
        """Write that something happened."""
        row = (int(event.step), event.kind.value, event.text, int(event.layer))
        self._write("INSERT INTO events VALUES (?, ?, ?, ?)", [row])

    def flush(self) -> None:
        """Commit what is not yet committed, so that no kill can take it."""
        with self._lock:
            if self.is_open:
                self._commit()

    def recording(self) -> RunRecording:
        """Return what has been written so far; after closing, what was written."""
        with self._lock:
            if self._connection is not None and self.is_open:
                return recording_in(self._connection)
        if self.path is None:
            return self._kept or RunRecording()
        return read_run(self.path)

    def close(self, *, ended: bool = True, last_step: int = -1) -> None:
        """Commit, leave one file, and write nothing from here on. A second time it does nothing.

        Args:
            ended: Whether the run came to its end.
            last_step: The last step that was begun, where nothing was written about it.
        """
        with self._lock:
            connection = self._connection
            if connection is None or not self.is_open:
                return
            try:
                self._note("last_step", str(last_step))
                self._note("ended", str(int(ended)))
                self._commit(patience=5.0)
                if self.path is None:
                    self._kept = recording_in(connection)
            finally:
                self._connection = None
                self._leaving.detach()
                _put_down(connection)

    # --- the parts -------------------------------------------------------------------

    def _note(self, key: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows or not self.is_open:
            return
        with self._lock:
            connection = self._connection
            if connection is None:
                return
            try:
                if not connection.in_transaction:
                    connection.execute("BEGIN")
                connection.executemany(statement, rows)
            except sqlite3.Error as error:
                raise self._failed(error) from None
            if self._may_commit():
                self._commit()

    def _may_commit(self) -> bool:
        now = time.monotonic()
        gained = (now - self._refilled) * self._rate
        self._tokens = min(self._tokens + gained, self._rate)
        self._refilled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _commit(self, patience: float = _PATIENCE) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            if patience != _PATIENCE:
                connection.execute(f"PRAGMA busy_timeout = {round(1000 * patience)}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if code_of(error) != sqlite3.SQLITE_BUSY:
                raise self._failed(error) from None
            # A reader holds the file: the next write commits both.

    def _failed(self, error: sqlite3.Error) -> UnvanishError:
        return UnvanishError(
            f"the recording cannot be written any more: {error}", where=str(self.path or "")
        )


def _left(connection: sqlite3.Connection, process: int) -> None:
    """Keep what a writer has written that nobody closed, when Python lets go of it."""
    if os.getpid() == process:
        with suppress(sqlite3.Error):
            connection.commit()
        _put_down(connection)


def _put_down(connection: sqlite3.Connection) -> None:
    """Close a database so that one file is left."""
    with suppress(sqlite3.Error):  # where another reads it, the log stays and is read too
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def next_free(path: str | Path) -> Path:
    """Return a path that is not taken yet: itself, or with a number before its suffix.

    Args:
        path: Such as ``unvanish-run.sqlite``; then ``unvanish-run-2.sqlite``, and so on.
    """
    wanted = Path(path)
    free, number = wanted, 2
    while free.exists():
        free = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        number += 1
    return free


def _made_file(path: Path) -> sqlite3.Connection:
    """Make the file; without a write-ahead log where the file system does not carry one."""
    if path.exists():
        raise UnvanishError(
            "this file is there already, and a recording never replaces one",
            where=str(path),
            help=f"file={str(next_free(path))!r}",
        )
    try:
        path.touch(exist_ok=False)
    except OSError as error:
        raise UnvanishError(
            f"the recording cannot be written: {error.strerror}", where=str(path)
        ) from None
    try:
        return _made(str(path), journal="WAL")
    except sqlite3.Error:
        for name in (path, *companions(path)):
            name.unlink(missing_ok=True)
    try:
        return _made(str(path), journal="DELETE")
    except sqlite3.Error as error:
        raise UnvanishError(f"the recording cannot be written: {error}", where=str(path)) from None


def _made(address: str, journal: str = "") -> sqlite3.Connection:
    """Make the tables, then turn on the log, so that the header of the file stands at once."""
    connection = sqlite3.connect(
        address, isolation_level=None, check_same_thread=False, timeout=_PATIENCE
    )
    try:
        quantities = [
            (number, name.value, entry.unit, entry.formula)
            for number, (name, entry) in enumerate(RUN_GLOSSARY.items())
        ]
        connection.executescript(f"PRAGMA application_id = {APPLICATION}; BEGIN; {TABLES}")
        connection.executemany("INSERT INTO quantities VALUES (?, ?, ?, ?)", quantities)
        connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(RUN_SCHEMA),))
        connection.execute("COMMIT")
        if journal:
            connection.execute(f"PRAGMA journal_mode = {journal}")
            connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection
