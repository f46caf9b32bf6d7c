"""Start a script on several processes, and know which of them one is."""

from __future__ import annotations

import os
import sys
import uuid
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

LAUNCH: Final = "UNVANISH_LAUNCH"
"""Variable that `unvanish run --nproc` sets: what the processes of one start have in common."""

_WORDS: Final = (
    LAUNCH,
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE"),
)

_PLACES: Final = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Where torchrun, mpirun and srun say which process of how many one is; the first is believed."""


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return this process's number among those of a distributed run; 0 where it is alone.

    Args:
        environment: The variables that launchers set.
    """
    return _place(environment)[0]


def world_size(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes a launcher started; 1 where there was none.

    Args:
        environment: The variables that launchers set.
    """
    return _place(environment)[1]


def launch_of(environment: Mapping[str, str], parent: int) -> str:
    """Return what the processes of one start have in common, and no others at the same time.

    Args:
        environment: The variables that launchers set.
        parent: Identity of the process above, which is one for all where no launcher is there.
    """
    words = [environment.get(name, "") for name in _WORDS]
    if _place(environment)[1] <= 1:
        words.append(str(parent))
    return f"{zlib.crc32('|'.join(words).encode()):08x}"


def torchrun_command(words: Sequence[str], processes: int) -> list[str]:
    """Return the command that runs `unvanish run` in several processes on this machine.

    Args:
        words: What stands behind ``unvanish run``, without ``--nproc``.
        processes: How many processes.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={processes}", "-m", "unvanish", "run"),
        *words,
    ]


def become(command: Sequence[str]) -> None:
    """Put a command in the place of this process, so that signals and exit code are its own.

    Args:
        command: The program and its arguments.
    """
    os.environ[LAUNCH] = uuid.uuid4().hex
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(command[0], list(command))
    import subprocess

    raise SystemExit(subprocess.call(command))


def _place(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return which process this is, and of how many."""
    for own, all_of in _PLACES:
        size = _number(environment, all_of, 1)
        if size > 1 and own in environment:
            return _number(environment, own, 0), size
    return 0, 1


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environment.get(name, default))
    except ValueError:
        return default
