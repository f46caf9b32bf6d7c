"""UV202: units that no sample can change any more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.words import percent

_FLAT: Final = frozenset(
    {"relu", "relu6", "threshold", "hardtanh", "hardsigmoid", "hardswish", "hardshrink"}
    | {"softshrink"}
)

_HELP: Final = {
    Cause.BIAS: "start the bias at zero: torch.nn.init.zeros_(layer.bias)",
    Cause.INPUT_SCALE: "scale the input to mean 0 and standard deviation 1 per feature",
    Cause.INIT_TOO_LARGE: "initialise smaller and with mean 0: "
    "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
}


@dataclass(frozen=True)
class _Look:
    """One activation: share of dead units, share expected by chance, number of units."""

    site: Site
    dead: float
    expected: float
    units: int

    @property
    def excess(self) -> float:
        """Share of the units that ought to be alive and are not."""
        return (self.dead - self.expected) / (1.0 - self.expected) if self.expected < 1 else 0.0

    @property
    def log10_chance(self) -> float:
        """Upper bound of log10 P(at least so many of the units are dead by chance)."""
        d, e = min(self.dead, 1.0), self.expected
        if d <= e:
            return 0.0
        if e <= 0.0:
            return -math.inf
        alive = (1 - d) * math.log((1 - d) / (1 - e)) if d < 1 else 0.0
        return -self.units * (d * math.log(d / e) + alive) / math.log(10)


@final
@dataclass(frozen=True, kw_only=True)
class DeadUnits:
    """Units whose slope is zero on every sample, beyond what chance leaves silent.

    ## What it measures
    Per unit, never per entry: a unit is dead when its slope is zero on every sample of every
    probe batch. Ordinary ReLU sparsity, half of the entries being zero, is not death.

    A layer that is called several times has a unit dead only where no call reaches it.

    A few samples leave healthy units silent by chance. Over random weights a unit's values
    on N samples with mean cosine c are N normals with pairwise correlation c, so that a
    share e = integral phi(t) Phi(-sqrt(c/(1-c)) t)^N dt is silent: 1/(N+1) at c = 1/2, and
    1/2 when all samples look alike. Samples of few features differ in few directions: points
    on an arc of angle a leave 1/2 - a / (2 pi) silent however many they are. N is therefore
    one more than the number of directions in which the samples differ, where that is less.

    The rule judges the excess (d - e) / (1 - e), the share of units that ought to be alive
    and are not. The limit is one half (`max_excess_dead_fraction_of_note`), where the typical
    unit, the median one, is dead, and sqrt(1/2) of the gradient's amplitude passes a layer:
    three decades in twenty. From 0.3 (`max_excess_dead_fraction`), half a decade in seven
    layers, it is a note: training wears that many units off and goes on. From 0.9
    (`min_excess_dead_fraction_of_error`), or with a whole layer dead, it is an error.

    A narrow layer may lose several units by bad luck. Units are independent given the
    samples, so the probability of a share d or more is at most exp(-n KL(d || e)) for n
    units. Only an excess less likely than 1e-4 (`max_chance`) is a finding, or a whole layer
    whose bias outweighs what its weights bring: chance is about the weights. Where a whole
    layer is silent and chance is not excluded, or where the null itself exceeds 0.8
    (`max_expected_dead_fraction`), the batch is too small to tell and the rule says so.

    ## Why it hurts
    A dead unit has no gradient, so nothing brings it back but luck. A layer that is dead as
    a whole cuts the network in two: nothing before it learns at all.

    ## When it stays silent
    Where the null explains what is seen, where the units are alive again after a few probe
    steps, and on functions without an exactly flat part (GELU, SiLU, LeakyReLU).

    ## False alarms
    Small batches, inputs of one or two features and deep ReLU networks, whose samples look
    alike, have a high null by nature. A network that is sparse by design (a bottleneck with
    top-k, pruned units) can exceed it. Units may be dead on the probe batches and alive on
    rare inputs: bring more.

    ## What helps
    A bias at zero, input at unit scale, a smaller learning rate, LeakyReLU or GELU in place
    of ReLU, and no ReLU after the last layer.

    ## Source
    Lu, Shin, Su and Karniadakis (2020). The null is the equicorrelated orthant probability
    of `unvanish.theory.dead_units`; the bound on chance is Chernoff's.
    """

    code: ClassVar[str] = "UV202"
    name: ClassVar[str] = "dead-units"
    needs: ClassVar[frozenset[Quantity]] = frozenset(
        {Quantity.DEAD_FRACTION, Quantity.EXPECTED_DEAD_FRACTION}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lu2020"],)

    max_excess_dead_fraction: float = 0.3
    max_excess_dead_fraction_of_note: float = 0.5
    min_excess_dead_fraction_of_error: float = 0.9
    max_expected_dead_fraction: float = 0.8
    max_chance: float = 1e-4
    min_rms_of_large_input: float = 10.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every activation that has an exactly flat part."""
        looks = _looks(recording)
        if not looks:
            signal = list(recording.signal_sites())
            if signal and not any(site.op in _FLAT for site in signal):
                return NotApplicable("no activation has an exactly flat part, as ReLU does")
            return NotMeasured("dead fraction and the share expected by chance")
        many_dead = [look for look in looks if look.excess > self.max_excess_dead_fraction]
        revived = self._revived(recording) & {look.site.index for look in many_dead}
        suspects = [look for look in many_dead if look.site.index not in revived]
        sick = [look for look in suspects if not self._may_be_chance(recording, look)]
        if sick:
            hidden = [look for look in sick if not look.site.is_output]
            output = [look for look in sick if look.site.is_output]
            return Found(
                tuple(self._finding(recording, part, looks) for part in (hidden, output) if part)
            )
        for look in looks:
            if look.expected > self.max_expected_dead_fraction or (
                look in suspects and look.dead >= 1.0
            ):
                return self._too_small(recording, look)
        judged = [look for look in looks if look.site.index not in revived]
        worst = max(judged or looks, key=lambda look: look.excess)
        summary = (
            f"at most {percent(worst.dead)} of the units of an activation are silent "
            f"({worst.site.name}), where chance leaves {percent(worst.expected)}"
        )
        if worst.dead == 0.0:
            summary = "every unit reacts to some sample"
        if not judged:
            summary = "every unit that was silent is alive again after a few probe steps"
        reported = sum(s in recording[Quantity.DEAD_FRACTION] for s in recording.signal_sites())
        if reported > len(looks):
            summary += f"; {reported - len(looks)} more could not be measured"
        excess = min(max(worst.excess, 0.0), self.max_excess_dead_fraction)
        margin = self.max_excess_dead_fraction - (excess if judged else 0.0)
        return Clear(margin, "fraction of units", summary)

    def _may_be_chance(self, recording: Recording, look: _Look) -> bool:
        if look.dead >= 1.0 and Upstream(recording).bias_rules(look.site):
            return False
        return look.expected > self.max_expected_dead_fraction or look.log10_chance > math.log10(
            self.max_chance
        )

    def _revived(self, recording: Recording) -> frozenset[int]:
        """Return the sites that are back below the limit after the probe steps."""
        if recording.later is None:
            return frozenset()
        places = {_place(site): site.index for site in recording.sites}
        return frozenset(
            places[_place(look.site)]
            for look in _looks(recording.later)
            if _place(look.site) in places and look.excess <= self.max_excess_dead_fraction
        )

    def _too_small(self, recording: Recording, look: _Look) -> NotMeasured:
        seen = recording.context.batch_size * recording.context.batches
        return NotMeasured(
            f"{percent(look.dead)} of the {look.units} units of {look.site.name} are silent, but "
            f"{seen or 'so few'} samples cannot tell that from chance; "
            f"bring at least {max(64, 4 * seen)} different samples"
        )

    def _finding(self, recording: Recording, sick: list[_Look], looks: list[_Look]) -> Finding:
        worst = max(sick, key=lambda look: look.excess)
        cause = self._cause(recording, min(sick, key=lambda look: look.site.index).site)
        where = "the network's output" if worst.site.is_output else "a hidden activation"
        message = f"{percent(worst.dead)} of the units of {worst.site.name} are dead"
        if len(sick) > 1:
            message += f", and {len(sick) - 1} more of {len(looks)} activations have dead units"
        return Finding(
            code=self.code,
            name=self.name,
            severity=self._severity(worst.excess),
            message=message,
            sites=tuple(look.site for look in sorted(sick, key=lambda look: -look.excess)),
            measured=worst.dead,
            expected=worst.expected,
            limit=worst.expected + self.max_excess_dead_fraction * (1.0 - worst.expected),
            unit="fraction of units",
            causes=(cause,),
            notes=(
                f"{worst.site.name} is {where}: these units have slope zero on every sample, "
                f"where chance would leave {percent(worst.expected, digits=1)} silent",
                *_after_probe_steps(recording),
            ),
            help=_help(cause, output=worst.site.is_output),
        )

    def _severity(self, excess: float) -> Severity:
        if excess >= self.min_excess_dead_fraction_of_error:
            return Severity.ERROR
        is_note = excess <= self.max_excess_dead_fraction_of_note
        return Severity.NOTE if is_note else Severity.WARNING

    def _cause(self, recording: Recording, site: Site) -> Cause:
        """Blame the scale of input or weights only where the numbers support it."""
        upstream = Upstream(recording)
        source = upstream.weighted(site)
        if source is not None and upstream.rms(source) > self.min_rms_of_large_input:
            return upstream.why_large(site)
        return Cause.BIAS


def _looks(recording: Recording) -> list[_Look]:
    dead, null = recording[Quantity.DEAD_FRACTION], recording[Quantity.EXPECTED_DEAD_FRACTION]
    return [
        _Look(site, dead[site], min(null[site], 1.0), _units(site))
        for site in recording.signal_sites()
        if site.op in _FLAT and dead.get(site) >= 0.0 and null.get(site) >= 0.0
    ]


def _place(site: Site) -> tuple[str, str, int]:
    return site.path, site.op, site.call


def _units(site: Site) -> int:
    """Return the number of units: channels of a feature map, features otherwise."""
    shape = site.shape
    if len(shape) < 2:
        return max(site.size, 1)
    return max(shape[1] if len(shape) >= 4 else shape[-1], 1)


def _after_probe_steps(recording: Recording) -> tuple[str, ...]:
    if recording.later is None:
        return ()
    return ("they are still dead after a few training steps on a copy",)


def _help(cause: Cause, *, output: bool) -> tuple[str, ...]:
    if output:
        return (
            "remove the activation after the last layer: the network cannot answer below "
            "zero, and a dead output unit never learns",
            "or use torch.nn.Softplus() where the answer has to be positive",
        )
    return (
        _HELP[cause],
        "use torch.nn.LeakyReLU(0.1) or torch.nn.GELU() in place of ReLU",
        "lower the learning rate if the units died in training",
    )
