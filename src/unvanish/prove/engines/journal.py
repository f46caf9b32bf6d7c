"""What a trial has finished, kept on disk, so that a trial that is killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from unvanish import __version__
from unvanish.core.packing import MalformedError
from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import wire
from unvanish.prove.engines.lock import Lock
from unvanish.prove.engines.running import is_passing

if TYPE_CHECKING:
    from unvanish.prove.engines.protocol import Engine
    from unvanish.prove.experiment import Experiment

SCHEMA: Final = 1
"""Version of the layout."""
_FORMAT: Final = "unvanish journal"


def default_folder() -> Path:
    """Return the folder where journals live: ``$UNVANISH_CACHE``, or one in the user's cache."""
    if chosen := os.environ.get("UNVANISH_CACHE"):
        return Path(chosen).expanduser()
    try:
        home = Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "unvanish"
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "unvanish"


class Journal:
    """Finished runs in a file, one a line, each on disk before anybody hears of it.

    The file is opened and locked at the first use. A file that another network, version or
    layout wrote is put aside. Where nothing can be written, the trial goes on without.

    Args:
        path: The file; it is made if it is not there.
        fingerprint: Text that differs where the same job would give another run.

    Attributes:
        path: The file.
        notes: What a person should know of it, one sentence each.
    """

    def __init__(self, path: Path | str, fingerprint: str) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self._header: dict[str, Any] = {
            "format": _FORMAT,
            "schema": SCHEMA,
            "fingerprint": _digest(fingerprint),
            "versions": {"unvanish": __version__, "torch": str(torch.__version__)},
        }
        self._known: dict[Job, Run] = {}
        self._found: int | None = None
        self._lock: Lock | None = None
        self._file: int | None = None
        self._is_open = False

    @classmethod
    def default(cls, fingerprint: str) -> Journal:
        """Return the journal of a fingerprint in the user's cache.

        Args:
            fingerprint: As for `Journal`.
        """
        return cls(default_folder() / f"trial-{_digest(fingerprint)[:20]}.jsonl", fingerprint)

    @property
    def found(self) -> int:
        """How many finished runs were in the file when it was opened."""
        if self._found is None:
            self._open()
        return self._found or 0

    def run(
        self, engine: Engine, experiment: Experiment, jobs: Sequence[Job]
    ) -> Generator[Run, None, None]:
        """Yield the runs that are known, then those that `engine` has still to do.

        A run that was killed, ran out of memory or took too long is done again.

        Args:
            engine: Does what is not known.
            experiment: What is trained on what.
            jobs: The runs that are asked for.

        Raises:
            UnvanishError: If another process works with the same file.
        """
        self._open()
        times = Counter(jobs)
        todo = [job for job in times if job not in self._known]
        for job in times:
            if job in self._known:
                yield from [self._known[job]] * times[job]
        if not todo:
            return
        with closing(engine.run(experiment, todo)) as runs:
            for run in runs:
                self._keep(run)
                yield from [run] * times[run.job]

    def close(self) -> None:
        """Let go of the file, and leave it for the next time."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        if self._lock is not None:
            self._lock.release()
        self._file = self._lock = None
        self._is_open = False

    def finish(self) -> None:
        """Remove the file: the trial is done, and nothing is to be resumed."""
        if self._file is not None:  # else it is not ours
            with suppress(OSError):
                self.path.unlink()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------------- the file

    def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.path.with_name(f"{self.path.name}.lock"))
            self._lock.take()
            self._load()
        except OSError as error:
            self._go_without(error)
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Read what is there, put aside what does not fit, and open the file to go on in it."""
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]  # a last line without an end was cut off
        header, *lines = whole.split(b"\n")[:-1] or [b""]
        if whole and (why := self._misfit(header)):
            self._put_aside(why)
            whole, lines = b"", []
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if whole:
            os.ftruncate(self._file, len(whole))
        else:
            os.ftruncate(self._file, 0)
            self._write(json.dumps(self._header))
        broken = 0
        for line in lines:
            try:
                run = wire.read(line)
            except MalformedError:
                broken += 1
            else:
                self._known[run.job] = run
        self._known = {job: run for job, run in self._known.items() if not is_passing(run)}
        self._found = len(self._known)
        if broken:
            self.notes.append(
                f"{broken} line{'s' if broken > 1 else ''} of the journal could not be read, and "
                f"what {'they' if broken > 1 else 'it'} held is run again ({self.path})"
            )

    def _misfit(self, line: bytes) -> str:
        """Say why the runs below a first line cannot be used; ``""`` where they can."""
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            return "it is no journal"
        if header.get("schema") != SCHEMA:
            return f"its layout is {header.get('schema')}, this version writes {SCHEMA}"
        if header.get("fingerprint") != self._header["fingerprint"]:
            return "it belongs to another network or trial"
        if header.get("versions") != self._header["versions"]:
            return "it was written with other versions of unvanish or torch"
        return ""

    def _put_aside(self, why: str) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.old{number}")).exists():
            number += 1
        self.path.rename(aside)
        self.notes.append(f"an earlier journal was not used, for {why}; it is kept as {aside}")

    def _keep(self, run: Run) -> None:
        if not is_passing(run):
            self._known[run.job] = run
        if self._file is None:
            return
        try:
            self._write(wire.written(run))
        except OSError as error:
            self._go_without(error)

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        rest = memoryview(line.encode() + b"\n")
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _go_without(self, error: OSError) -> None:
        self.close()
        self._is_open = True
        self.notes.append(
            f"the trial cannot be resumed if it is interrupted, for its journal cannot be "
            f"written: {error.strerror or error} ({self.path})"
        )


def _digest(fingerprint: str) -> str:
    return hashlib.sha256(fingerprint.encode()).hexdigest()
