"""torchdiag: gradients after every backward pass, dead neurons after the last step."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Final

from torch import Tensor

from benchmarks.peers.training import Watcher, watch

NAME: Final = "torchdiag"
REQUIRES: Final = "torchdiag"
COUNTS: Final = (
    "anything it lists under ISSUES FOUND: `check_gradients(model)` after every backward pass "
    "(VANISH, EXPLODE, NO GRAD), `check_dead_neurons(model, inputs)` after the last step (over "
    "20 %), which is left out where the network takes anything but one tensor"
)


class Checks(Watcher):
    """Calls torchdiag, everything at its defaults; what it prints is dropped."""

    def __init__(self) -> None:
        self._issues: list[str] = []

    def after_backward(self) -> None:
        """Check the gradients."""
        import torchdiag

        with redirect_stdout(io.StringIO()):
            stats = torchdiag.check_gradients(self.trial.model)
        statuses = {entry["status"] for entry in stats.values()} - {"OK"}
        self._issues += [f"gradient {status.replace('_', ' ').upper()}" for status in statuses]

    def report(self) -> Iterator[str]:
        """Check for dead neurons, and return all issues."""
        import torchdiag

        yield from self._issues
        inputs = self.batch.inputs
        if isinstance(inputs, Tensor):
            with redirect_stdout(io.StringIO()):
                layers = torchdiag.check_dead_neurons(self.trial.model, inputs)
            if any(layer["dead_pct"] > 20 for layer in layers.values()):
                yield "dead neurons"


def examine(name: str, seed: int) -> tuple[str, ...]:
    """Train a patient, check it with torchdiag and return the issues."""
    return watch(name, seed, Checks())
