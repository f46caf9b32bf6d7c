"""Start a script on several processes, and know which of them one is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return this process's number among those of a distributed run; 0 where it is alone.

    Args:
        environment: The variables that `torchrun` and other launchers set.
    """
    if _number(environment, "WORLD_SIZE", 1) <= 1:
        return 0
    return _number(environment, "RANK", 0)


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a launcher started this process as one of several."""
    return "RANK" in environment and _number(environment, "WORLD_SIZE", 1) > 1


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
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(command[0], list(command))
    import subprocess

    raise SystemExit(subprocess.call(command))


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environment.get(name, default))
    except ValueError:
        return default
