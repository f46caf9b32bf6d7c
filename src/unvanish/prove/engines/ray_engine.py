"""Runs on a cluster, or on this machine, by Ray."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import warnings
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch

from unvanish.core.errors import UnvanishError, import_optional
from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import wire
from unvanish.prove.engines.running import KILLED, checked_jobs, foreign_device, performed
from unvanish.prove.engines.shipping import NotShippableError, shipped

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment

_GLANCE: Final = 1.0
"""Seconds after which Ray is asked anew."""
_TRIES: Final = 2
"""How often a run is begun whose actor dies, and an actor that does not start."""
_SILENT: Final = "RAY_USAGE_STATS_ENABLED"
"""Variable that keeps Ray from reporting its use."""


class Worker:
    """What an actor of Ray is made of: it opens the experiment once and does many runs.

    Args:
        parcel: The experiment, pickled.
    """

    def __init__(self, parcel: bytes) -> None:
        torch.set_num_threads(1)
        self._experiment: Experiment = pickle.loads(parcel)

    def ready(self) -> str:
        """Return nothing, as soon as the experiment is open."""
        return ""

    def perform(self, job: Job) -> str:
        """Do a run, and return it as text.

        Args:
            job: The run that is asked for.
        """
        return wire.written(performed(self._experiment, job))


class Ray:
    """Runs jobs in actors of Ray, each with one processor and one thread.

    The actors and their experiment are kept from one call to the next. On the machines of a
    cluster `unvanish` and torch have to be installed; the user's own files travel along.

    Args:
        jobs: How many runs at once; None for as many as there are processors.
        address: ``"ray://host:port"``, ``"host:port"`` or ``"auto"`` for a cluster that runs;
            None for one that is started on this machine and stopped by `close`.

    Attributes:
        name: ``"ray"``.
        jobs: How many runs at once; of a cluster, known as soon as it is reached.
        how: How the jobs are run, once that is decided; empty before.
    """

    name = "ray"

    def __init__(self, jobs: int | None = None, address: str | None = None) -> None:
        self.jobs = checked_jobs(jobs)
        self.how = ""
        self._asked, self._address = jobs, address
        self._ray: Any = None
        self._is_ours = False
        self._on_terminate: Any = None
        self._experiment: Experiment | None = None
        self._actor: Any = None
        self._parcel: Any = None
        self._idle: list[Any] = []

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        """Yield the run of every job, in the order in which they end; as `Engine.run`.

        Args:
            experiment: What is trained on what.
            jobs: The runs that are asked for.

        Raises:
            UnvanishError: If Ray cannot be reached, or its actors cannot open the experiment.
        """
        if not jobs:
            return
        self._connect()
        self._ship(experiment)
        waiting, tries, failures = deque(jobs), Counter[Job](), 0
        busy: dict[Any, tuple[Any, Job | None]] = {}
        try:
            while waiting or any(job is not None for _, job in busy.values()):
                self._employ(waiting, busy)
                done, _ = self._ray.wait(list(busy), num_returns=1, timeout=_GLANCE)
                for ref in done:
                    actor, job = busy.pop(ref)
                    try:
                        answer = self._ray.get(ref)
                    except self._ray.exceptions.RayError as error:
                        self._kill(actor)
                        if job is None:
                            failures += 1
                            _check_starts(failures, error)
                            continue
                        tries[job] += 1
                        if tries[job] < _TRIES:
                            waiting.append(job)
                            continue
                        yield Run(job=job, failed=_died(error, _TRIES))
                    else:
                        failures = 0
                        self._idle.append(actor)
                        if job is not None:
                            yield wire.read(answer)
        finally:
            for actor, job in busy.values():
                if job is None:
                    self._idle.append(actor)
                else:
                    self._kill(actor)

    def close(self) -> None:
        """End the actors, and Ray itself where it was started for them."""
        if self._ray is None:
            return
        self._dismiss()
        if self._is_ours:
            self._ray.shutdown()
            if self._on_terminate is not None:
                signal.signal(signal.SIGTERM, self._on_terminate)
        self._ray = self._actor = self._on_terminate = None
        self._is_ours = False

    # ---------------------------------------------------------------------- actors

    def _employ(self, waiting: deque[Job], busy: dict[Any, tuple[Any, Job | None]]) -> None:
        """Give jobs to the actors that have none, and start more where jobs are left."""
        while self._idle and waiting:
            actor, job = self._idle.pop(), waiting.popleft()
            busy[actor.perform.remote(job)] = actor, job
        starting = sum(job is None for _, job in busy.values())
        for _ in range(min(self.jobs - len(busy), len(waiting) - starting)):
            actor = self._actor.remote(self._parcel)
            busy[actor.ready.remote()] = actor, None

    def _ship(self, experiment: Experiment) -> None:
        """Put an experiment where new actors find it; it stays there for the next call."""
        if experiment is self._experiment:
            return
        self._dismiss()
        on_gpu = foreign_device(experiment) == "cuda"
        try:
            parcel = shipped(experiment, import_optional("ray.cloudpickle", **_EXTRA))
        except NotShippableError as error:
            raise UnvanishError(
                f"Ray cannot be given this experiment: {error}",
                where=experiment.target,
                help="--engine local   runs it on this machine without pickling it",
            ) from None
        there = self._ray.cluster_resources().get("GPU" if on_gpu else "CPU", 1)
        self.jobs = max(1, min(self._asked or int(there), int(there)))
        self.how = f"{self.jobs} actor{'s' if self.jobs > 1 else ''} of Ray at once"
        self._actor = self._ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_restarts=0)(Worker)
        self._parcel, self._experiment = self._ray.put(parcel), experiment

    def _dismiss(self) -> None:
        for actor in self._idle:
            self._kill(actor)
        self._idle, self._experiment, self._parcel = [], None, None

    def _kill(self, actor: Any) -> None:
        """End an actor at once: one that ends by itself takes half a minute."""
        if self._ray.is_initialized():  # else it is gone, and asking would start Ray anew
            self._ray.kill(actor, no_restart=True)

    # --------------------------------------------------------------------- cluster

    def _connect(self) -> None:
        """Reach the cluster, or start one here; one that this process has already is used.

        Raises:
            UnvanishError: If it cannot be reached or started.
        """
        if self._ray is not None and self._ray.is_initialized():
            return
        ray = import_optional("ray", **_EXTRA)
        self._idle, self._experiment = [], None
        if not ray.is_initialized():
            address = self._address or ("auto" if os.environ.get("RAY_ADDRESS") else None)
            settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            if address is None:
                address = "local"
                settings |= {"num_cpus": self.jobs, "include_dashboard": False}
            is_main = threading.current_thread() is threading.main_thread()
            before = signal.getsignal(signal.SIGTERM) if is_main else None
            try:
                with _silent():
                    ray.init(address=address, **settings)
            except Exception as error:  # Ray raises anything from ValueError to its own
                raise UnvanishError(
                    f"Ray cannot be {'reached' if self._address else 'started'}: {_line(error)}",
                    where=self._address or "",
                    help="ray start --head   starts one, and   --engine ray   is enough for one "
                    "machine",
                ) from error
            self._on_terminate, self._is_ours = before, True
        self._ray = ray


_EXTRA: Final = {"extra": "ray", "purpose": "--engine ray"}


@contextmanager
def _silent() -> Iterator[None]:
    """Start Ray without its report of use, its warnings, and its talk on stdout of what died."""
    worker: Any = import_optional("ray._private.worker", **_EXTRA)
    listen, before = getattr(worker, "listen_error_messages", None), os.environ.get(_SILENT)
    os.environ[_SILENT] = "0"
    try:
        if listen is not None:
            worker.listen_error_messages = lambda *_: None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if listen is not None:
            worker.listen_error_messages = listen
        if before is None:
            del os.environ[_SILENT]
        else:
            os.environ[_SILENT] = before


def _check_starts(failures: int, error: Exception) -> None:
    """Give up where one actor after the other does not start.

    Raises:
        UnvanishError: After as many failures as are allowed.
    """
    if failures < _TRIES:
        return
    raise UnvanishError(
        f"no actor of Ray can open the experiment: {_line(error)}",
        help="install unvanish, torch and what the network imports on every machine of the "
        "cluster,\n  or: --engine local",
    ) from error


def _died(error: BaseException, times: int) -> str:
    """Return the failure of a run whose actor did not live to its end."""
    if type(error).__name__ in {"ActorDiedError", "RayActorError", "WorkerCrashedError"}:
        return f"{KILLED} {times} times; out of memory is the usual reason"
    return f"{KILLED} {times} times: {_line(error)}"


def _line(error: BaseException) -> str:
    """Return the line of an error of Ray that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1 if "creation task" in lines[0] else 0][:300]
