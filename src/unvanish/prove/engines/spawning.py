"""Fresh processes that do many runs each, for where a process cannot be forked.

They are started by command and not by `multiprocessing`, which would run the user's script once
more in each of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

from unvanish.core.packing import packer
from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import wire
from unvanish.prove.engines.running import died, late

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment

_GLANCE: Final = 0.25
"""Seconds between two looks at whether a run is late."""
_GRACE: Final = 5.0
"""Seconds a process has to end by itself after the last job."""


Answers: TypeAlias = "queue.SimpleQueue[tuple[Worker, str | None]]"
"""A process with each line that came from it, and with None at its end."""


class NotStartedError(Exception):
    """No fresh process came so far that it could take a job; the reason is a clause."""


class Worker:
    """A fresh process that holds the experiment.

    Args:
        parcel: The experiment, pickled.
        answers: Where it puts itself with each line that arrives, and with None at the end.
    """

    def __init__(self, parcel: bytes, answers: Answers) -> None:
        self.job: Job | None = None
        self.is_ready = self.is_late = False
        self._begun = 0.0
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "unvanish.prove.engines.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        self._parcel, self._answers = parcel, answers
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for work in (self._send, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def take(self, job: Job) -> None:
        """Let it do a run."""
        self.job, self._begun = job, time.monotonic()
        self._lines.put(json.dumps(packer(Job)(job)))

    def start(self, line: str | None) -> None:
        """Read its first line, which says that it has started.

        Raises:
            NotStartedError: If it has ended instead, or cannot open the experiment.
        """
        said = f"it ended with exit code {self.exit_code()}" if line is None else json.loads(line)
        if said:
            raise NotStartedError(f"a fresh process cannot take the experiment: {said}")
        self.is_ready, self._begun = True, time.monotonic()

    def is_beyond(self, limit: float) -> bool:
        """Tell whether it has been at a run for longer than so many seconds."""
        at_work = self.is_ready and self.job is not None
        return at_work and time.monotonic() - self._begun > limit

    def exit_code(self) -> int:
        """Wait for its end, and return its exit code; minus the signal where it was killed."""
        return self._process.wait()

    def kill(self) -> None:
        """Kill it."""
        self._lines.put(None)
        with contextlib.suppress(OSError):
            self._process.kill()

    def dismiss(self) -> None:
        """Let it end by itself, or kill it where it does not."""
        self._lines.put(None)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _send(self) -> None:
        pipe = _stream(self._process.stdin)
        with contextlib.suppress(OSError, ValueError), pipe:
            pipe.write(len(self._parcel).to_bytes(8, "big") + self._parcel)
            pipe.flush()
            while (line := self._lines.get()) is not None:
                pipe.write(line.encode() + b"\n")
                pipe.flush()

    def _listen(self) -> None:
        with _stream(self._process.stdout) as pipe:
            for line in pipe:
                self._answers.put((self, line.decode()))
        self._answers.put((self, None))


class Spawned:
    """Runs jobs in fresh processes, each of which holds the experiment and does many.

    Args:
        jobs: How many at once.
        limit_seconds: How long one may take; None for no limit.
        parcel: The experiment, pickled.
    """

    def __init__(self, jobs: int, limit_seconds: float | None, parcel: bytes) -> None:
        self._jobs, self._limit, self._parcel = jobs, limit_seconds, parcel
        self._is_proven = False

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:  # noqa: ARG002 (the parcel holds it)
        """Yield the run of every job, in the order in which they end; as `Engine.run`.

        Args:
            experiment: What is in the parcel.
            jobs: The runs that are asked for.

        Raises:
            NotStartedError: If a fresh process cannot do any run.
        """
        waiting: deque[Job] = deque(jobs)
        answers: Answers = queue.SimpleQueue()
        workers: set[Worker] = set()
        idle: list[Worker] = []
        try:
            while waiting or len(workers) > len(idle):
                while waiting and (idle or len(workers) < self._jobs):
                    if not idle:
                        idle.append(worker := Worker(self._parcel, answers))
                        workers.add(worker)
                    idle.pop().take(waiting.popleft())
                self._stop_late(workers)
                try:
                    worker, line = answers.get(timeout=_GLANCE)
                except queue.Empty:
                    continue
                if not worker.is_ready and self._has_started(worker, line):
                    continue
                run = self._outcome(worker, line)
                worker.job = None
                if line is not None:
                    idle.append(worker)
                else:
                    workers.discard(worker)
                    idle = [one for one in idle if one is not worker]
                if run is not None:
                    yield run
            for worker in workers:
                worker.dismiss()
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.exit_code()

    def _has_started(self, worker: Worker, line: str | None) -> bool:
        """Read the first line of a process; no is an answer only once another has started."""
        try:
            worker.start(line)
        except NotStartedError:
            if not self._is_proven:
                raise
            worker.kill()
            return line is not None  # then its end is still to come
        self._is_proven = True
        return True

    def _outcome(self, worker: Worker, line: str | None) -> Run | None:
        """Return the run that a line brings, or the end of a process that was at one."""
        if line is not None:
            return wire.read(line)
        code = worker.exit_code()
        if worker.job is None:
            return None
        if worker.is_late and self._limit is not None:
            return late(worker.job, self._limit)
        return died(worker.job, code)

    def _stop_late(self, workers: set[Worker]) -> None:
        for worker in workers:
            if self._limit is not None and worker.is_beyond(self._limit):
                worker.is_late = True
                worker.kill()


def _stream(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None  # for it was asked for
    return pipe
