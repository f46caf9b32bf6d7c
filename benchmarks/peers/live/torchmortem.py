"""torchmortem: hooks on every module during the run, findings at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.peers.training import Watcher, watch

NAME: Final = "torchmortem"
REQUIRES: Final = "torchmortem"
COUNTS: Final = (
    "a finding of WARNING or CRITICAL in the report of `Autopsy(model, optimizer)`, attached "
    "before the first step and told the loss after each; INFO does not count"
)
CRITICAL: Final = "any finding that is CRITICAL"


class Autopsy(Watcher):
    """Lets torchmortem look on, everything at its defaults."""

    def begin(self) -> None:
        """Attach it."""
        import torchmortem

        self._autopsy: Any = torchmortem.Autopsy(self.trial.model, optimizer=self.trial.optimizer)
        self._autopsy.attach()

    def after_update(self, loss: float) -> None:
        """Tell it the loss."""
        self._autopsy.step(loss=loss)

    def report(self) -> Iterator[str]:
        """Return its findings by their titles, without the layer."""
        self._autopsy.detach()
        for finding in self._autopsy.get_report().findings:
            if finding.severity.name in ("WARNING", "CRITICAL"):
                yield finding.title.partition(" in ")[0]
            if finding.severity.name == "CRITICAL":
                yield CRITICAL

    def close(self) -> None:
        """Detach it; left attached, it would write a file when the process ends."""
        if hasattr(self, "_autopsy"):
            self._autopsy.detach(is_complete=False)


def examine(name: str, seed: int) -> tuple[str, ...]:
    """Train a patient under torchmortem and return what it reports."""
    return watch(name, seed, Autopsy())
