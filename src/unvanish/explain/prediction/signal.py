r"""What theory knows of the signal at one step of a wide random network, and how a step maps it.

An entry z of a step's output is Gaussian over the weights, with four moments,

    q = E z^2,     m = E z over the units,
    p = E z_a z_b over two samples,     t = E z_a z_b over two tokens of a sample,

of which p matters only to BatchNorm, which takes away what the samples have in common, and t only
to attention, which averages tokens. A matrix or
kernel makes q sigma_w^2 q + sigma_b^2 and m zero; an activation takes moments of phi(z); LayerNorm
and RMSNorm leave gamma^2 + beta^2 whatever came in; branches that come together add up.

The empirical mean square over n units scatters about q. `scatter` is n times the relative
variance that one more matrix adds, E z^4 / q^2 - 1 for independent entries and 0 behind a
normalisation, whose output has a fixed length; `variance` is that of log q in all.

Source: Poole et al. (2016) for q and p; Yang et al. (2019) for BatchNorm; the scatter is the
conditional variance of a mean square, as in Hanin (2018) and Roberts, Yaida and Hanin (2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from unvanish.theory.activations import Activation
from unvanish.theory.mean_field import mean, second_moment, slope_moment
from unvanish.theory.quadrature import expectation, joint_expectation

LARGEST: Final = 1e40
_TINY: Final = 1e-300
_MOST_TOKENS: Final = 256
_MOST_MIXES: Final = 24
_STRETCH: Final = 1.02
"""Factor of the length at which a derivative is taken by difference."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Moments of one step's output.

    Attributes:
        q: Mean square of an entry.
        mean: Mean over the units.
        shared: Mean product of two samples' entries.
        tokens: Mean product of the entries of two tokens of a sample.
        scatter: n times the relative variance of the mean square that a matrix adds.
        variance: Variance of the logarithm of q over networks.
    """

    q: float
    mean: float = 0.0
    shared: float = 0.0
    tokens: float = 0.0
    scatter: float = 2.0
    variance: float = 0.0

    def scaled(self, factor: float) -> Signal:
        """Return the signal times a number."""
        square = factor * factor
        return replace(
            self,
            q=self.q * square,
            mean=self.mean * factor,
            shared=self.shared * square,
            tokens=self.tokens * square,
        )

    def mixed(self, sigma_w2: float, sigma_b2: float, units: int) -> Signal:
        """Return the signal behind a matrix or a kernel.

        Args:
            sigma_w2: n_in Var(W).
            sigma_b2: Variance of the biases.
            units: Units that enter, n.
        """
        q = min(sigma_w2 * self.q + sigma_b2, LARGEST)
        share = sigma_w2 * self.q / q if q > 0.0 else 0.0
        return Signal(
            q,
            shared=sigma_w2 * self.shared + sigma_b2,
            tokens=sigma_w2 * self.tokens + sigma_b2,
            variance=share * share * (self.variance + self.scatter / units),
        )

    def normalised(self, gamma2: float, beta2: float, *, over_batch: bool) -> Signal:
        """Return the signal behind a normalisation with weight gamma and bias beta."""
        shared = tokens = 0.0
        if not over_batch:
            common = self.mean * self.mean
            spread = max(self.q - common, _TINY)
            shared = gamma2 * min((self.shared - common) / spread, 1.0)
            tokens = gamma2 * min((self.tokens - common) / spread, 1.0)
        return Signal(gamma2 + beta2, shared=shared + beta2, tokens=tokens + beta2, scatter=0.0)

    def spread(self, *, over_batch: bool, centred: bool = True) -> float:
        """Return the variance that a normalisation divides by."""
        common = self.shared if over_batch else self.mean * self.mean if centred else 0.0
        return max(self.q - common, 0.0)

    def averaged(self, tokens: int, *, causal: bool) -> Signal:
        """Return the mean over tokens, or over those before each: what even attention gives."""
        own, common = alone(tokens, causal=causal), 1.0 / tokens
        if causal and tokens > 1:  # of two tokens j is the later: 1/j, averaged over pairs
            common = 2.0 * (1.0 - own) / (tokens - 1)
        return Signal(
            own * self.q + (1.0 - own) * self.tokens,
            self.mean,
            self.shared,
            common * self.q + (1.0 - common) * self.tokens,
            variance=self.variance,
        )

    def correlation(self) -> float:
        """Return the correlation of two tokens of a sample."""
        return min(max(self.tokens / self.q, 0.0), 1.0) if self.q > 0.0 else 0.0

    def plus(self, other: Signal) -> Signal:
        """Return the sum with an independent signal."""
        both = 2.0 * self.mean * other.mean
        q = self.q + other.q + both
        a, b = (self.q / q, other.q / q) if q > 0.0 else (0.0, 0.0)
        return Signal(
            min(q, LARGEST),
            self.mean + other.mean,
            self.shared + other.shared + both,
            self.tokens + other.tokens + both,
            scatter=a * a * self.scatter + b * b * other.scatter + 4.0 * a * b,
            variance=a * a * self.variance + b * b * other.variance,
        )


def alone(tokens: int, *, causal: bool) -> float:
    """Return the mean of 1 / n over the tokens of a sample that attend to n tokens each."""
    if not causal:
        return 1.0 / tokens
    return math.fsum(1.0 / n for n in range(1, tokens + 1)) / tokens


def together(tokens: int, *, causal: bool, before: float = 0.0) -> float:
    """Return the mean square of what the tokens are given, of gradients that are alike.

    Behind a causal attention the gradient of a sample gathers at its first tokens, and the next
    one adds less: it keeps the energy in the end, as all of it has come to the first token.

    Args:
        tokens: Tokens of a sample.
        causal: Whether each attends to those before it only.
        before: Causal attentions that the gradient has come through already.
    """
    if not causal:
        return 1.0
    gains = _gathered(min(tokens, _MOST_TOKENS))
    return math.exp(float(np.interp(before, range(len(gains)), gains)))


@lru_cache(maxsize=64)
def _gathered(tokens: int) -> tuple[float, ...]:
    """Return the logarithm of what one more causal mean over tokens does to the energy."""
    mean_of = np.tril(np.ones((tokens, tokens))) / np.arange(1.0, tokens + 1.0)[:, None]
    alike = mean_of.T @ np.ones(tokens)
    gains = [math.log(float(np.mean(alike**2)))]
    power = mean_of.T
    for _ in range(_MOST_MIXES):
        energy, power = float(np.sum(power**2)), mean_of.T @ power
        gains.append(math.log(float(np.sum(power**2)) / energy))
    return tuple(gains)


@dataclass(frozen=True, slots=True)
class Passage:
    """What an activation does to signal and gradient at one operating point.

    Attributes:
        mean: E phi(z).
        square: E phi(z)^2.
        scatter: E phi^4 / (E phi^2)^2 - 1.
        slope: E phi'(z)^2, the factor of the gradient's energy.
        slope_scatter: E phi'^4 / (E phi'^2)^2 - 1.
        square_stretch: d log E phi^2 / d log q.
        slope_stretch: d log E phi'^2 / d log q.
    """

    mean: float
    square: float
    scatter: float
    slope: float
    slope_scatter: float
    square_stretch: float
    slope_stretch: float


@lru_cache(maxsize=4096)
def passage(phi: Activation, q: float, average: float) -> Passage:
    """Return what an activation does to a Gaussian of some mean square and mean."""
    moved, spread = _moved(phi, q, average)
    square, slope = second_moment(moved, spread), slope_moment(moved, spread)
    wide, wider = _moved(phi, q * _STRETCH, average * math.sqrt(_STRETCH))
    step = math.log(_STRETCH)
    fourth = expectation(lambda z: moved.value(z) ** 4, spread, moved.kinks)
    return Passage(
        mean=mean(moved, spread),
        square=square,
        scatter=max(fourth / max(square * square, _TINY) - 1.0, 0.0),
        slope=slope,
        slope_scatter=max(slope_moment(moved, spread, 4) / max(slope * slope, _TINY) - 1.0, 0.0),
        square_stretch=_log_ratio(second_moment(wide, wider), square) / step,
        slope_stretch=_log_ratio(slope_moment(wide, wider), slope) / step,
    )


@lru_cache(maxsize=1024)
def shared_moment(phi: Activation, q: float, average: float, shared: float) -> float:
    """Return E phi(z_a) phi(z_b) of two samples."""
    moved, spread = _moved(phi, q, average)
    if spread <= 0.0:
        return mean(moved, 0.0) ** 2
    c = min(max((shared - average * average) / spread, -1.0), 1.0)
    return joint_expectation(moved.value, moved.value, spread, c, moved.kinks)


@lru_cache(maxsize=1024)
def shared_slope(phi: Activation, q: float, average: float, shared: float) -> float:
    """Return E phi'(z_a) phi'(z_b) / E phi'(z)^2, by which two gradients become unlike."""
    moved, spread = _moved(phi, q, average)
    if spread <= 0.0:
        return 1.0
    c = min(max((shared - average * average) / spread, -1.0), 1.0)
    joint = joint_expectation(moved.slope, moved.slope, spread, c, moved.kinks)
    return joint / max(slope_moment(moved, spread), _TINY)


def activated(
    phi: Activation, before: Signal, *, batch_matters: bool, tokens_matter: bool
) -> Signal:
    """Return the signal behind an activation."""
    at = passage(phi, before.q, before.mean)
    shared = tokens = at.mean * at.mean
    if batch_matters:
        shared = shared_moment(phi, before.q, before.mean, before.shared)
    if tokens_matter:
        tokens = shared_moment(phi, before.q, before.mean, before.tokens)
    return Signal(
        min(at.square, LARGEST),
        at.mean,
        shared,
        tokens,
        at.scatter,
        at.square_stretch**2 * before.variance,
    )


def _moved(phi: Activation, q: float, average: float) -> tuple[Activation, float]:
    """Return the activation about the mean, and the variance there."""
    spread = max(q - average * average, 0.0)
    if average == 0.0:
        return phi, spread
    return (
        replace(
            phi,
            value=lambda z: phi.value(z + average),
            slope=lambda z: phi.slope(z + average),
            kinks=tuple(kink - average for kink in phi.kinks),
        ),
        spread,
    )


def _log_ratio(after: float, before: float) -> float:
    return math.log(max(after, _TINY) / max(before, _TINY))
