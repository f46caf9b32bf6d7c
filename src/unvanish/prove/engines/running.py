"""One run, done in this process as every engine does it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Job, Run
from unvanish.prove.training import execute

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment

KILLED: Final = "the process of this run was killed"
"""How the failure of a run begins whose process did not live to its end."""
LATE: Final = "this run was stopped after"
"""How the failure of a run begins that took longer than it may."""
IDLE: Final = "the process of this run did nothing for"
"""How the failure of a run begins whose process hung."""
OUT_OF_MEMORY: Final = "out of memory"
"""How the failure of a run begins that asked for too much."""

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def performed(experiment: Experiment, job: Job) -> Run:
    """Do one run with one thread, as every engine does, so that the sums come out the same.

    Args:
        experiment: What is trained on what.
        job: The run that is asked for.

    Returns:
        What it came to. Of what the user's code can raise, only `KeyboardInterrupt` gets out.
    """
    try:
        with one_thread():
            return execute(experiment, job)
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        return Run(job=job, failed=f"the user's code called sys.exit({code})")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # not even GeneratorExit: it is the user's, not the consumer's
        text = (str(error).splitlines() or [""])[0][:300]
        return Run(job=job, failed=f"{type(error).__name__}: {text}")


def died(job: Job, exit_code: int) -> Run:
    """Return the run of a process that ended without a result.

    Args:
        job: What it was to do.
        exit_code: Its exit code; minus the signal where it was killed.
    """
    if exit_code >= 0:
        said = f"the process of this run ended by itself with exit code {exit_code}"
    elif exit_code == -9:
        said = f"{KILLED} (signal 9); out of memory is the usual reason"
    elif exit_code in (-4, -6, -7, -8, -11):
        said = f"the process of this run crashed (signal {-exit_code}) in compiled code"
    else:
        said = f"{KILLED} (signal {-exit_code})"
    return Run(job=job, failed=said)


def late(job: Job, limit_seconds: float) -> Run:
    """Return the run of a process that was stopped because it took too long."""
    return Run(job=job, failed=f"{LATE} {limit_seconds:g} seconds, the limit for one run")


def idle(job: Job, seconds: float) -> Run:
    """Return the run of a process that was stopped because it did nothing."""
    return Run(job=job, failed=f"{IDLE} {seconds:g} seconds, and was stopped")


def is_passing(run: Run) -> bool:
    """Tell whether a run failed for a reason that may be gone the next time."""
    return run.failed.startswith((KILLED, LATE, IDLE, OUT_OF_MEMORY))


def checked_jobs(jobs: int | None) -> int:
    """Return how many runs to do at once.

    Args:
        jobs: What was asked for; None for as many as there are processors to use.

    Returns:
        At least 1.

    Raises:
        UnvanishError: If less than 1 was asked for.
    """
    if jobs is None:
        return usable_processors()
    if jobs < 1:
        raise UnvanishError(f"{jobs} runs at once make no trial", help="--jobs 1")
    return jobs


def usable_processors() -> int:
    """Count the processors this process may use: its affinity, and the quota of its container."""
    ask = getattr(os, "process_cpu_count", None)
    if ask is not None:
        count = ask() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, count)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread in a block, whatever the user's code asks for, and then as before.

    A forked process that starts the threads of its parent anew waits for them for ever.
    """
    count, asking = torch.get_num_threads(), torch.set_num_threads
    if count != 1:
        torch.set_num_threads(1)
    setattr(torch, "set_num_threads", lambda _: None)  # noqa: B010
    try:
        yield
    finally:
        setattr(torch, "set_num_threads", asking)  # noqa: B010
        if count != 1:
            torch.set_num_threads(count)


def foreign_device(experiment: Any) -> str:
    """Return the device an experiment runs on where that is not the processor, else ``""``.

    Args:
        experiment: Its network and its batches are read.
    """
    found: list[str] = []

    def walk(thing: Any, depth: int = 0) -> None:
        if isinstance(thing, torch.Tensor):
            if thing.device.type not in ("cpu", "meta"):
                found.append(thing.device.type)
        elif isinstance(thing, torch.nn.Module):
            for tensor in thing.state_dict(keep_vars=True).values():
                walk(tensor, depth + 1)
        elif depth < 6 and isinstance(thing, tuple | list):
            for part in thing:
                walk(part, depth + 1)
        elif depth < 6 and isinstance(thing, dict):
            for part in thing.values():
                walk(part, depth + 1)

    walk(getattr(experiment, "model", None))
    walk(getattr(getattr(experiment, "partition", None), "first", None))
    if not found and torch.cuda.is_initialized():
        found.append("cuda")
    return found[0] if found else ""
