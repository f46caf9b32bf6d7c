"""UV201: activations that sit on the flat part of their function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.words import percent

_HEALTHY: Final = {
    "tanh": 0.069,
    "sigmoid": 0.0003,
    "softsign": 0.031,
    "hardtanh": 0.317,
    "hardsigmoid": 0.0027,
}
"""Share below a tenth of the largest slope for a standard normal input: the op's null."""

_HELP: Final = {
    Cause.INPUT_SCALE: "scale the input to mean 0 and standard deviation 1 per feature, "
    "such as torchvision.transforms.Normalize(mean, std)",
    Cause.INIT_TOO_LARGE: "initialise the layer before it smaller: "
    "torch.nn.init.xavier_normal_(layer.weight)",
    Cause.BIAS: "start the bias at zero: torch.nn.init.zeros_(layer.bias)",
}


@final
@dataclass(frozen=True, kw_only=True)
class SaturatedActivation:
    """Hidden activations sit on the flat part of their function.

    ## What it measures
    At every hidden activation that has flat ends (sigmoid, tanh, hardtanh, hardsigmoid,
    softsign), the share of entries whose slope is below a tenth of the function's largest
    slope: |phi'(z)| < sup|phi'| / 10. The slope decides, never the output's value, so that
    a large output of a linear layer or of a norm is not mistaken for saturation.

    The limit is one half (`max_saturated_fraction`): beyond it the typical entry, the
    median one, passes less than a tenth. For a Gaussian pre-activation of standard
    deviation s this begins at s = z10 / 0.674, where z10 solves phi'(z10) = sup|phi'| / 10:
    s = 2.7 for tanh (z10 = 1.82) and 5.4 for sigmoid (z10 = 3.64). An ordinary start has
    s at or below 1, where the share is 7 % for tanh, 0.03 % for sigmoid, 3 % for softsign
    and 32 % for hardtanh. One site is a warning. It is an error when a majority of the
    sites, or 95 % of one site (`max_saturated_fraction_of_one_site`), is saturated.

    ## Why it hurts
    The gradient of an entry is multiplied by its slope. A saturated unit neither learns nor
    lets the layers before it learn, and since its gradient is small it stays where it is.

    ## When it stays silent
    On piecewise linear and smooth one-sided functions such as ReLU and GELU, which UV202
    looks after; on the network's output, where a confident sigmoid or tanh is the goal; and
    on gates (LSTM, GRU, highway), which open and close by design.

    ## False alarms
    A network trained to make decisions may drive a few hidden units to their ends: a share
    below one half is clear. Binary and spiking networks saturate on purpose. Large weights
    can outweigh small slopes, so a saturated network need not have a small gradient; it
    still answers most inputs with the same corner of the cube.

    ## What helps
    Input at unit scale, a smaller initialisation (Xavier for tanh), a normalisation layer
    before the activation, or a smaller learning rate where the network got here by training.

    ## Source
    Glorot and Bengio (2010), section 3, on saturation in deep sigmoid and tanh networks.
    The limit follows from the median as derived above.
    """

    code: ClassVar[str] = "UV201"
    name: ClassVar[str] = "saturated-activation"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.SATURATED_FRACTION})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["glorot2010"],)

    max_saturated_fraction: float = 0.5
    max_saturated_fraction_of_one_site: float = 0.95
    max_saturated_fraction_of_a_lone_site: float = 0.9

    def examine(self, recording: Recording) -> Verdict:
        """Judge the hidden activations that have flat ends."""
        hidden = [
            site
            for site in recording.signal_sites()
            if site.can_saturate and not site.is_output and not site.gates
        ]
        profile = recording[Quantity.SATURATED_FRACTION]
        if not hidden:
            return NotApplicable("no hidden activation has flat ends, as sigmoid and tanh do")
        shares = {site: profile[site] for site in hidden if profile.get(site) >= 0.0}
        if not shares:
            return NotMeasured("saturated fraction of the hidden activations")
        unseen = len(hidden) - len(shares)
        neighbours = Neighbours(recording)
        shares = {
            site: share
            for site, share in shares.items()
            if share <= self.max_saturated_fraction or not neighbours.only_multiplies(site)
        }
        if not shares:
            return NotApplicable("every activation with flat ends only scales another signal")
        saturated = sorted(
            (site for site in shares if shares[site] > self.max_saturated_fraction),
            key=lambda site: (-shares[site], site.index),
        )
        if not saturated:
            worst = max(shares, key=lambda site: shares[site])
            at_most = (
                f"at most {percent(shares[worst])} of the entries of a hidden activation are "
                f"saturated ({worst.name})"
                if shares[worst] >= 5e-3
                else "no hidden activation is saturated"
            )
            return Clear(
                self.max_saturated_fraction - shares[worst],
                "fraction of entries",
                f"{at_most}{_not_seen(unseen)}",
            )
        return Found((self._finding(recording, shares, saturated),))

    def _finding(
        self, recording: Recording, shares: dict[Site, float], saturated: list[Site]
    ) -> Finding:
        worst = saturated[0]
        first = min(saturated, key=lambda site: site.index)
        cause = Upstream(recording).why_large(first)
        others = (
            f" ({len(saturated)} of {len(shares)} hidden activations are saturated)"
            if len(shares) > 1
            else ""
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=self._severity(shares[worst], len(saturated), len(shares)),
            message=f"{percent(shares[worst])} of the entries of {worst.name} pass less than a "
            f"tenth of the largest slope{others}",
            sites=tuple(saturated),
            measured=shares[worst],
            expected=_HEALTHY.get(worst.op, float("nan")),
            limit=self.max_saturated_fraction,
            unit="fraction of entries",
            causes=(cause, Cause.SATURATION),
            notes=_notes(recording, first, cause),
            help=(
                _HELP[cause],
                "or put a normalisation before the activation: torch.nn.LayerNorm(features)",
            ),
        )

    def _severity(self, worst: float, saturated: int, looked_at: int) -> Severity:
        majority = 2 * saturated > looked_at
        several = saturated > 1 or worst >= self.max_saturated_fraction_of_a_lone_site
        if worst > self.max_saturated_fraction_of_one_site or (majority and several):
            return Severity.ERROR
        return Severity.WARNING


def _not_seen(count: int) -> str:
    return f"; {count} more could not be measured" if count else ""


def _notes(recording: Recording, first: Site, cause: Cause) -> tuple[str, ...]:
    upstream = Upstream(recording)
    source = upstream.weighted(first)
    if source is None or not upstream.rms(source):
        return ()
    size, scale = upstream.rms(source), upstream.input_rms(first)
    note = f"the input of {first.name} has rms {size:.3g}; an ordinary start is at or below 1"
    if cause is Cause.INPUT_SCALE:
        return (note, f"the network's own input has rms {scale:.3g}, so its scale is the reason")
    if cause is Cause.BIAS:
        return (note, f"most of it is the bias of {source.name}")
    return (note,)
