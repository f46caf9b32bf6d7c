"""Every run in this process, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from unvanish.core.proofs import Job, Run
from unvanish.prove.engines.running import performed

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment


class Inline:
    """Runs every job in this process, one after the other.

    For a debugger in the user's code, and for a network that no other process can be given.

    Attributes:
        name: ``"inline"``.
        jobs: 1.
        how: How the jobs are run.
    """

    name = "inline"

    def __init__(self) -> None:
        self.jobs = 1
        self.how = "in this process, one run after the other"

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        """Yield the run of every job, in their order; as `Engine.run`.

        Args:
            experiment: What is trained on what.
            jobs: The runs that are asked for.
        """
        for job in jobs:
            yield performed(experiment, job)

    def close(self) -> None:
        """Give back nothing: nothing is held."""
