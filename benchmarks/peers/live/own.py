"""``unvanish check``, as `benchmarks.accuracy` runs it."""

from __future__ import annotations

from typing import Final

NAME: Final = "unvanish"
REQUIRES: Final = ""
COUNTS: Final = (
    "any finding of a warning or an error of `unvanish check`, which looks at the network as "
    "it is built and takes a few probe steps on a copy"
)


def examine(name: str, seed: int) -> tuple[str, ...]:
    """Return the codes found at or above a warning.

    Raises:
        RuntimeError: If the check failed.
    """
    from benchmarks.accuracy import examine as check

    run = check((name, seed, {}))
    if run.crash:
        raise RuntimeError(run.crash.strip().splitlines()[-1])
    return tuple(run.found)
