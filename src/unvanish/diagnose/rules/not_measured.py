"""UV901: what could not be seen, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.operations import MATMUL_OPS
from unvanish.core.records import Recording, Role
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict

_BENDING: Final = frozenset(
    "sigmoid tanh relu leaky_relu elu selu celu gelu silu mish softplus hardtanh relu6 sin".split()
)
"""Functions that make layers of products between weights."""

_MAIN: Final = Quantity.LOG10_ACTIVATION_GRAD_RMS


@final
@dataclass(frozen=True, kw_only=True)
class CouldNotMeasure:
    """Something of the network could not be seen, so nothing is said about it.

    ## What it measures
    The gaps that the observer left while it looked: steps that PyTorch runs as one piece,
    quantities that do not exist for a type, a probe that failed, a step at which `unvanish`
    itself failed, which its authors want to hear of. The limit is zero gaps
    (`max_gaps`), since every gap is a place where a sickness could hide. A gap is a note
    while the rest was judged, and a warning where the gradient over depth itself, which
    most rules stand on, is missing. It is missing too where more than half of the weights are
    multiplied with nothing that was recognised as data, neither from the batch nor standing in
    the network, and with functions between: what these layers pass on looks like one weight.

    ## Why it hurts
    What was not measured looks exactly like what is healthy, unless somebody says so.

    ## When it stays silent
    When everything that was looked for was seen.

    ## False alarms
    A fused step (LSTM, attention) may be healthy inside: the finding says only that nobody
    looked.

    ## What helps
    Layers that no data was seen to feed are judged once the data comes with the batch, as an
    argument of ``forward``, or stands in a buffer. Each gap carries its own reason. Often it is a
    fused kernel, which a float64 copy of the network or
    `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)` takes apart.

    ## Source
    Paszke and others (2019): some operations are one opaque node in the recorded graph.
    """

    code: ClassVar[str] = "UV901"
    name: ClassVar[str] = "not-measured"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)

    max_gaps: int = 0

    def examine(self, recording: Recording) -> Verdict:
        """Report the gaps of a recording."""
        if not recording.sites and not recording.gaps:
            return NotMeasured("anything at all: the recording holds no steps")
        gaps = list(recording.gaps)
        if not len(recording[_MAIN]) and not any(_is_main(gap) for gap in gaps):
            gaps.insert(0, Gap("the gradient over depth", "no step reported one"))
        elif unfed := _unfed(recording):
            gaps.insert(0, Gap("the gradient over depth", unfed))
        if len(gaps) <= self.max_gaps:
            return Clear(summary="everything that was looked for was seen")
        return Found((self._finding(recording, gaps),))

    def _finding(self, recording: Recording, gaps: list[Gap]) -> Finding:
        # Many steps may have a gap for one reason: say each reason once.
        reasons = list(dict.fromkeys((gap.what, gap.why) for gap in gaps))
        main = not len(recording[_MAIN]) or any(_is_main(gap) for gap in gaps)
        first, why = reasons[0]
        others = f" ({len(reasons) - 1} more could not)" if len(reasons) > 1 else ""
        places = {gap.site for gap in gaps if gap.site is not None}
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if main else Severity.NOTE,
            message=f"{first} could not be measured: {why}{others}",
            sites=tuple(site for site in recording.sites if site.index in places),
            measured=float(len(gaps)),
            expected=0.0,
            limit=float(self.max_gaps),
            unit="gaps",
            notes=tuple(f"{what} could not be measured: {why}" for what, why in reasons[1:]),
            help=("read the other verdicts as verdicts about the rest of the network only",),
        )


def _unfed(recording: Recording) -> str:
    """Say how many layers work on nothing that is known as data; empty where it is at most half.

    Weights that are generated or masked belong to the layer that multiplies data with them, and
    a product of two learned matrices without a function is a factorisation.
    """
    sites = recording.sites
    bent = any(site.op in _BENDING for site in sites if site.role is Role.WEIGHT)
    known = [
        p for p in recording.parameters if p.requires_grad and p.feeds_loss and len(p.shape) > 1
    ]
    fed = {
        name
        for site in recording.signal_sites()
        if site.op in MATMUL_OPS or site.function in MATMUL_OPS
        for name in site.weights
    }
    unfed = [
        p
        for p in known
        if fed.isdisjoint((p.name, *p.aliases))
        and any(
            sites[use.site].role is Role.WEIGHT and sites[use.site].op in MATMUL_OPS
            for use in p.uses
        )
    ]
    if not bent or 2 * len(unfed) <= len(known):
        return ""
    return (
        f"{len(unfed)} of {len(known)} weights are multiplied with nothing that was recognised as "
        "data, and their layers were not looked at"
    )


def _is_main(gap: Gap) -> bool:
    words = (_MAIN.value, "gradient over depth", "gradients below the range")
    return any(word in gap.what for word in words)
