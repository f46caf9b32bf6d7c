"""What normalisations with running statistics keep, read off their buffers between two looks.

A forward pass in training mode mixes the batch into the buffers by a known share, so the batch's
own statistics follow from the buffers before and after it. No hook and no pass is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.running_statistics import RunningStatistics
from unvanish.observe.look import Look

_ROUNDINGS: Final = 100.0
"""Roundings of the buffers that the share of a batch has to exceed to be read off them."""


@dataclass(frozen=True, slots=True)
class _Statistics:
    """Mean and variance of every channel, in float64."""

    mean: Tensor
    variance: Tensor


@dataclass(slots=True)
class _Norm:
    """One normalisation, what it kept before the looks, and what each batch's own numbers are."""

    module: nn.modules.batchnorm._NormBase
    before: _Statistics
    tracked: int
    batches: list[_Statistics] = field(default_factory=list)

    @property
    def momentum(self) -> float:
        """Share of a batch; ``nan`` for the mean over all of them.

        InstanceNorm takes None for 0, where BatchNorm averages over all batches.
        """
        if self.module.momentum is not None:
            return float(self.module.momentum)
        return 0.0 if isinstance(self.module, nn.modules.instancenorm._InstanceNorm) else math.nan

    def share(self) -> float:
        """Return how much of what is kept now came in since the looks began."""
        count = _tracked(self.module) - self.tracked
        if math.isnan(self.momentum):
            return count / (self.tracked + count) if count else 0.0
        return 1.0 - (1.0 - self.momentum) ** (count or 1)  # InstanceNorm does not count

    def note(self) -> None:
        """Read the statistics of a batch that has just passed."""
        share, now = self.share(), _kept(self.module)
        is_met = _tracked(self.module) > self.tracked or not torch.equal(now.mean, self.before.mean)
        assert self.module.running_var is not None
        least = _ROUNDINGS * torch.finfo(self.module.running_var.dtype).eps
        if not self.module.training or not is_met or share < least:
            return
        mean = self.before.mean + (now.mean - self.before.mean) / share
        variance = self.before.variance + (now.variance - self.before.variance) / share
        self.batches.append(_Statistics(mean, variance.clamp_min(0.0)))

    def evaluation_rms(self) -> float:
        """Return the size of the first batch's values, normalised by what is kept before it."""
        if not self.batches:
            return math.nan
        first, kept = self.batches[0], self.before
        square = (first.mean - kept.mean).square() + first.variance
        return math.sqrt(float((square / (kept.variance + self.module.eps)).mean()))

    def spread(self) -> float:
        """Return how far the means of batches lie apart, in deviations within a batch."""
        if len(self.batches) < 2:
            return math.nan
        between = torch.stack([one.mean for one in self.batches]).var(dim=0)
        within = torch.stack([one.variance for one in self.batches]).mean(dim=0)
        varies = within > self.module.eps  # a channel that is constant is not scaled up either
        return math.sqrt(float((between / within)[varies].mean())) if bool(varies.any()) else 0.0


class RunningReader:
    """Reads the running statistics of a network, before the looks at it and behind each of them.

    Args:
        model: Its buffers are read and never written.
    """

    def __init__(self, model: nn.Module) -> None:
        self._norms = {
            path: _Norm(module, _kept(module), _tracked(module))
            for path, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase)
            and module.track_running_stats
            and module.running_mean is not None
            and module.running_var is not None
        }

    def note(self) -> None:
        """Read what a look at a further batch has left, before the buffers are put back."""
        for norm in self._norms.values():
            norm.note()

    def records(self, seen: Look) -> tuple[RunningStatistics, ...]:
        """Return what was read of those that a look met, in forward order.

        Args:
            seen: The first look.
        """
        sites = sorted(seen.graph.sites, key=lambda site: not site.op.endswith("norm"))
        first = {site.path: site.index for site in reversed(sites)}
        met = [(first[path], norm) for path, norm in self._norms.items() if path in first]
        return tuple(
            RunningStatistics(
                site=site,
                momentum=norm.momentum,
                training=norm.module.training,
                tracked=norm.tracked,
                at_start=_is_at_start(norm.before),
                evaluation_rms=norm.evaluation_rms(),
                spread=norm.spread(),
            )
            for site, norm in sorted(met, key=lambda one: one[0])
        )


def _kept(module: nn.modules.batchnorm._NormBase) -> _Statistics:
    assert module.running_mean is not None
    assert module.running_var is not None
    return _Statistics(_copied(module.running_mean), _copied(module.running_var))


def _copied(values: Tensor) -> Tensor:
    return values.detach().cpu().to(torch.float64, copy=True)


def _tracked(module: nn.modules.batchnorm._NormBase) -> int:
    counted = module.num_batches_tracked
    return int(counted) if counted is not None else 0


def _is_at_start(kept: _Statistics) -> bool:
    return bool((kept.mean == 0.0).all()) and bool((kept.variance == 1.0).all())
