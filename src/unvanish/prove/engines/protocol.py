"""What an engine is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from unvanish.core.proofs import Job, Run

if TYPE_CHECKING:
    from unvanish.prove.experiment import Experiment


@runtime_checkable
class Engine(Protocol):
    """Runs training jobs. The result of a job does not depend on the engine.

    Attributes:
        name: As ``--engine`` takes it.
        jobs: How many runs at once.
    """

    name: str
    jobs: int

    def run(self, experiment: Experiment, jobs: Sequence[Job]) -> Generator[Run, None, None]:
        """Yield the run of every job, in the order in which they end.

        A run that fails, or whose process is killed, is a `Run` with `Run.failed`. Closing the
        iterator, or an exception such as `KeyboardInterrupt` in it, stops what is under way.

        Args:
            experiment: What is trained on what.
            jobs: The runs that are asked for.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...
