"""UV106: the output can ask most layers to change in one direction only."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow, Level
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.propagation import propagation_flow, structure
from unvanish.theory.isometry import expected_directions


@final
@dataclass(frozen=True, kw_only=True)
class IllConditionedJacobian:
    """The output can ask most layers to change in one direction only.

    ## What it measures
    Random signs are sent back from every sample's output, each sample with signs of its own,
    and at every layer the gradients of different samples are compared: 1 / mean cos^2 over
    all pairs is the number of directions they take. At an output of C values it is C. A
    network whose Jacobian J is near an isometry keeps 1 / (1/C + 1/n) of them at a layer of n
    units. In general 1 / directions is tr (J J^T)^2 / (tr J J^T)^2, and every random layer
    adds kappa / n to it: 0 for orthogonal linear layers, 1 for Gaussian ones, 2 for Gaussian
    ReLU layers of equal inputs. What is lost compounds with depth over width.

    The limit is 2 directions (`min_directions`) at the median layer. Below, the mean cos^2 is
    above one half: more than half of what one sample asks of the layer, in energy, lies along
    what another asks, though their demands at the output have nothing to do with each other.
    It is a note, and is judged where 8 layers or more (`min_layers`) stand behind each other,
    the batch has at least 8 samples and the output at least 4 directions.

    ## Why it hurts
    Along one direction every demand is heard, along the others none: the spectrum of the
    Jacobian is spread over decades, a step that is right for its top is too small for the
    rest, and learning is slow however large the gradient is.

    ## When it stays silent
    On shallow networks, small batches and outputs of few values; in residual networks, whose
    Jacobian stays near the identity; and on branches beside the main path.

    ## False alarms
    Samples with different Jacobians, as in ReLU networks, take more directions than J allows,
    so that a spread spectrum may go unseen; the opposite, gradients that become white noise
    from one input to the next (shattered gradients), is not judged. A network that answers
    through one number by design, a gate or a scale, has one direction there.

    ## What helps
    Orthogonal weights with activations near linear at the start (tanh), residual connections
    with scaled branches, more width, fewer layers.

    ## Source
    Pennington, Schoenholz and Ganguli (2017) for the spectrum of the Jacobian; Balduzzi and
    others (2017) for shattered gradients. The formula is that of `unvanish.theory.isometry`.
    """

    code: ClassVar[str] = "UV106"
    name: ClassVar[str] = "ill-conditioned-jacobian"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.GRAD_EFFECTIVE_RANK})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["pennington2017"],
        SOURCES["balduzzi2017"],
    )

    min_directions: float = 2.0
    min_layers: int = 8
    min_samples: int = 8
    min_output_directions: float = 4.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge the directions of the gradients that arrive at the median layer."""
        flow = propagation_flow(recording)
        layers = len({s.depth for s in recording.signal_sites() if s.weights})
        if layers < self.min_layers or (flow is not None and len(flow.levels) < self.min_layers):
            return NotApplicable(
                f"the network has fewer than {self.min_layers} layers, too few to compound"
            )
        if 0 < recording.context.batch_size < self.min_samples:
            return NotApplicable(f"the batch has fewer than {self.min_samples} samples to compare")
        if not recording[Quantity.GRAD_EFFECTIVE_RANK]:
            if (
                recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
                and not (recording[Quantity.LOG10_PROBE_GRAD_RMS])
            ):
                return NotApplicable("the network shows no output to send random signs back from")
            return NotMeasured("the directions of the gradients that arrive at the layers")
        found = self._measured(recording, flow) if flow is not None else []
        if len(found) < self.min_layers:
            return NotApplicable(f"fewer than {self.min_layers} layers get any gradient to compare")
        outer, directions = found[-1][1], [value for _, value in found]
        if outer < self.min_output_directions:
            return NotApplicable(f"the output itself has {outer:.1f} directions")
        middle = median(directions)
        if middle >= self.min_directions:
            return Clear(
                middle - self.min_directions,
                "directions",
                f"the output asks in {outer:.3g} directions, and the median of {len(found)} "
                f"layers hears {middle:.3g}",
            )
        return Found((self._finding(recording, flow, found),))

    def _measured(self, recording: Recording, flow: Flow) -> list[tuple[Level, float]]:
        ranks = recording[Quantity.GRAD_EFFECTIVE_RANK]
        pairs = ((level, ranks.get(level.layer)) for level in flow.levels)
        return [(level, value) for level, value in pairs if value > 0.0]

    def _finding(
        self, recording: Recording, flow: Flow | None, found: list[tuple[Level, float]]
    ) -> Finding:
        directions = [value for _, value in found]
        deaf = [level.layer for level, value in found if value < self.min_directions]
        outer, least = found[-1][1], min(found, key=lambda pair: pair[1])
        width = least[0].layer.size / max(1, recording.context.batch_size)
        causes = structure(recording, flow) if flow is not None else ()
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"{len(deaf)} of {len(found)} layers hear the output in fewer than "
            f"{self.min_directions:g} directions",
            sites=tuple(deaf),
            measured=median(directions),
            expected=expected_directions(outer, max(1.0, width)),
            limit=self.min_directions,
            unit="directions",
            causes=causes or (Cause.DEPTH_WITHOUT_SKIP,),
            notes=(
                f"the output asks in {outer:.3g} directions; at {least[0].layer.name} "
                f"{least[1]:.3g} are left",
                "the gradient may be of a good size: its directions are what is lost",
            ),
            help=(
                "add skip connections with scaled branches: "
                "x = x + block(x) / number_of_blocks ** 0.5",
                "or start from orthogonal weights: torch.nn.init.orthogonal_(layer.weight)",
            ),
        )
