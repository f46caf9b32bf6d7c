"""torchlens: one audit of the gradient flow after the last step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from torch import Tensor, nn

from benchmarks.peers.training import Watcher, watch
from unvanish.observe.batch import Batch
from unvanish.zoo.training import Trial

NAME: Final = "torchlens"
REQUIRES: Final = "torchlens"
COUNTS: Final = (
    "an operation that `debug.gradient_flow_audit_rows` flags as vanishing, exploding or dead, "
    "in one trace of network and loss on the last batch, after the last step"
)


class WithLoss(nn.Module):
    """A network that ends in its loss, because only what is traced can be audited."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.network = trial.model
        self.trial = trial

    def forward(self, inputs: Any, target: Any) -> Tensor:
        """Return the loss of a batch."""
        return self.trial.forward(Batch(inputs, target))


class Audit(Watcher):
    """Lets torchlens audit the network, everything at its defaults."""

    def report(self) -> Iterator[str]:
        """Trace, go backward and audit."""
        import torchlens
        import torchlens.debug

        trace = torchlens.trace(
            WithLoss(self.trial),
            [self.batch.inputs, self.batch.target],
            capture=torchlens.options.CaptureOptions(save_grads=True),
        )
        try:
            loss = trace[trace.output_layers[0]].out
            if loss.requires_grad:
                trace.log_backward(loss)
            rows, _ = torchlens.debug.gradient_flow_audit_rows(trace)
            for row in rows:
                yield from (word for word in ("vanishing", "exploding", "dead") if row[word])
        finally:
            trace.cleanup()


def examine(name: str, seed: int) -> tuple[str, ...]:
    """Train a patient, audit it and return what is flagged."""
    return watch(name, seed, Audit())
