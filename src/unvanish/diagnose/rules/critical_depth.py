"""UV105: a plain network is deeper than its depth scale allows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, Verdict
from unvanish.diagnose.factors import loss_factors
from unvanish.diagnose.propagation import flow_chart, growth_causes, judged_flow, structure
from unvanish.theory.depth_scales import TRAINABLE_DEPTH_SCALES, depth_scale


@final
@dataclass(frozen=True, kw_only=True)
class CriticalDepth:
    """A plain network is deeper than its depth scale allows.

    ## What it measures
    In a network of many alike layers without shortcuts or normalisation, the energy of the
    gradient changes by one factor chi at every layer. Over xi = 1 / |ln chi| layers it
    changes by a factor of e; where chi is below 1, two inputs approach each other at the
    same rate. Networks were found to train down to about 6 xi layers.

    The factor is the mean over the hidden layers' steps, measured from random signs at the
    output. It has to be one: twice as large as the error of that mean, of one sign, and of a
    size, within a factor of 2, in the first and in the second half of the depth. Then 6 xi
    (`max_depth_scales` times xi) is compared with the number of layers. It is always a note.
    At 6 xi the gradient's amplitude has changed by e^3 = 20, or 1.3 decades, which an
    optimiser can make up for: ReLU layers with PyTorch's default weights have xi = 0.56, so
    that 6 xi is 3 layers, and eight of them still train. UV101 and UV102 judge the loss
    itself, with limits from what it does to learning; this rule says how deep a network of
    the same layers could be.

    ## Why it hurts
    Beyond a few depth scales the first layers get a gradient of another size than the last,
    and all inputs look alike to the last, or chaotically different. Every further layer makes
    both worse by the same factor.

    ## When it stays silent
    On fewer than 8 layers (`min_layers`); where any shortcut, gate, normalisation or
    recurrence stands in the way, for which there is no single factor; and where the factor
    cannot be told from 1, as at criticality.

    ## False alarms
    The 6 is an observation on tanh networks that gradient descent trained on digits; other
    optimisers reach further. In a narrow network the factor varies from layer to layer, and
    xi is as uncertain as the mean of the factors.

    ## What helps
    Weights at criticality, where xi is infinite: He for ReLU, orthogonal or Xavier for tanh.
    Residual connections, which turn the exponential into a power of depth. Fewer layers.

    ## Source
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017); Poole and others (2016).
    """

    code: ClassVar[str] = "UV105"
    name: ClassVar[str] = "critical-depth"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.LOG10_ACTIVATION_GRAD_RMS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["schoenholz2017"], SOURCES["poole2016"])

    max_depth_scales: float = TRAINABLE_DEPTH_SCALES
    min_layers: int = 8
    max_ratio_of_halves: float = 2.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge the depth of a plain chain by its own factor a layer."""
        flow = judged_flow(recording)
        if not isinstance(flow, Flow):
            return flow
        layers = len(flow.levels)
        if layers < self.min_layers:
            return NotApplicable(
                f"the network has {layers} layers, and a depth scale takes {self.min_layers}"
            )
        if not _is_plain(recording, flow):
            return NotApplicable(
                "shortcuts, gates, normalisation or recurrence: there is no one factor a layer"
            )
        steps = [-flow.lost_between(i, i + 1) for i in range(layers - 2)]  # no output layer
        if not all(map(math.isfinite, steps)):
            return NotApplicable("the gradient is exactly zero somewhere: see UV101")
        factor = fmean(steps)
        xi = depth_scale(factor)
        deepest = self.max_depth_scales * xi
        if layers <= deepest:
            said = f"{xi:.3g} layers" if xi < 1000 else "a thousand layers or more"
            margin = min(deepest, 1e6) - layers
            return Clear(margin, "layers", f"{layers} layers, and a depth scale of {said}")
        if not self._is_one(steps):
            return NotApplicable("the gradient's factor differs from layer to layer")
        return Found((self._finding(recording, flow, factor, deepest),))

    def _is_one(self, steps: Sequence[float]) -> bool:
        """Tell whether all steps are samples of one factor that is not 1."""
        mean, error = fmean(steps), stdev(steps) / math.sqrt(len(steps))
        half = len(steps) // 2
        first, second = fmean(steps[:half]), fmean(steps[half:])
        if abs(mean) <= 2.0 * error or first * second <= 0.0:
            return False
        return max(first / second, second / first) <= self.max_ratio_of_halves

    def _finding(self, recording: Recording, flow: Flow, factor: float, deepest: float) -> Finding:
        layers, xi = len(flow.levels), depth_scale(factor)
        if factor < 0.0:
            factors = loss_factors(recording, flow, flow.levels[0])
            causes, help_ = factors.causes, factors.help
        else:
            causes, help_ = growth_causes(recording, flow), ()
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"{layers} plain layers against a trainable depth of {deepest:.1f}: each "
            f"changes the gradient by x{10**factor:.3g}",
            sites=tuple(level.layer for level in flow.levels),
            measured=float(layers),
            limit=deepest,
            unit="layers",
            causes=causes,
            notes=(
                f"the depth scale is xi = {xi:.2g} layers, and {self.max_depth_scales:g} of them "
                "are what networks of alike layers were found to train with",
            ),
            help=help_
            or (
                "initialise at criticality: torch.nn.init.kaiming_normal_(layer.weight, "
                "nonlinearity='relu') for ReLU, torch.nn.init.orthogonal_(layer.weight) for tanh",
                "or add skip connections: x = x + block(x)",
            ),
            chart=flow_chart(recording, flow, ()),
        )


def _is_plain(recording: Recording, flow: Flow) -> bool:
    """Tell whether signals of different depth never meet, and nothing is normalised or reused."""
    kinds = structure(recording, flow)
    if Cause.RECURRENCE in kinds or Cause.NO_NORMALISATION not in kinds:
        return False
    depths: dict[int, set[int]] = defaultdict(set)
    signal = {site.index: site for site in recording.signal_sites()}
    for edge in recording.edges:
        if edge.producer in signal:
            depths[edge.consumer].add(signal[edge.producer].depth)
    return all(len(depths[index]) < 2 for index in signal)
