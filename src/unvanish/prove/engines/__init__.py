"""What runs the jobs of a trial: this process, several, or a cluster.

Other packages offer an engine as an entry point in the group ``unvanish.engines``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.registry import Collected, collect
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.local import Local
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.engines.ray_engine import Ray
from unvanish.prove.engines.running import checked_jobs

ENGINES: Final[tuple[Callable[[], Engine], ...]] = (Local, Inline, Ray)
"""The engines that ship with the package, the usual one first."""

GROUP: Final = "unvanish.engines"
"""Entry-point group in which other packages offer theirs."""


def engines() -> Collected[Engine]:
    """Return every engine, built in or installed, and the plug-ins that could not be used."""
    return collect(
        [make() for make in ENGINES], group=GROUP, protocol=Engine, key=lambda engine: engine.name
    )


def engine_of(name: str = "local", jobs: int | None = None) -> Engine:
    """Return an engine by name.

    Args:
        name: As ``--engine`` takes it; ``"ray://host:port"`` is a cluster of Ray.
        jobs: How many runs at once; None for what the engine takes by itself.

    Raises:
        UnvanishError: If there is none of that name, or `jobs` is less than 1.
    """
    if jobs is not None:
        checked_jobs(jobs)
    wanted = name.strip()
    if wanted.lower().startswith("ray://"):
        return Ray(jobs, address=wanted)
    known = engines()
    by_name = {engine.name: engine for engine in known.members}
    wanted = wanted.lower().replace("_", "-")
    if wanted in known.broken:
        raise known.broken[wanted]
    if wanted not in by_name:
        near = difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.5)
        raise UnvanishError(
            f"there is no engine {name!r}",
            where=f"there are {', '.join(by_name)}",
            help=f"--engine {near[0] if near else 'local'}",
        )
    if wanted == "local":
        return Local(jobs)
    if wanted == "ray":
        return Ray(jobs)
    engine = by_name[wanted]
    if jobs is not None and wanted != "inline":
        engine.jobs = jobs
    return engine
