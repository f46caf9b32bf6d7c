r"""Estimates of a Jacobian that is never written out, by products with J and J^T alone.

With v random signs at the end, one backward pass gives J^T v for all samples at once, and

    E |J^T v|^2 = tr J J^T,      E (v^T J J^T v')^2 = tr (J J^T)^2,     v, v' independent,

so that the mean and the spread of the squared singular values need backward passes only. The
largest singular values come from Lanczos steps (`lanczos`), with one product with J (`segment`) and
one with J^T each, for all samples side by side.

Source: Hutchinson (1989) for the trace; Doshi, He and Gromov (2023) for the averaged partial
Jacobian norm.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError
from unvanish.core.jacobians import JacobianEstimate, PartialJacobian
from unvanish.observe.batch import Batch, as_batch, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.failures import is_out_of_memory, out_of_memory, own_faults_told
from unvanish.observe.guard import ModelSnapshot, is_lazy, untouched
from unvanish.observe.lanczos import Matrices, largest_singular_values
from unvanish.observe.segment import Run, Runner, pusher, signs
from unvanish.observe.widening import widened

_log = logging.getLogger(__name__)

_FEWEST_STEPS: Final = 12

_COUPLED: Final = 1e-6
"""Share of one sample's gradient in others above which samples are coupled."""


def jacobian(
    model: nn.Module,
    batch: Any,
    *,
    start: str = "",
    end: str = "",
    probes: int = 16,
    top: int = 4,
    steps: int = 0,
    layers: bool = False,
    seed: int = 0,
) -> JacobianEstimate:
    """Estimate size, spread and largest singular values of a Jacobian; the model stays as it is.

    The Jacobian is that of one sample: its end by its own start. Where a module is called
    several times, the first call of the start and the last one of the end count.

    Args:
        model: The network, in the mode it would be trained in.
        batch: As `unvanish.trace` takes it; the target is not used.
        start: Path of the module whose output is differentiated by, such as ``"layers.0"``;
            empty for the first floating input.
        end: Path of the module whose output is differentiated; empty for the network's output.
        probes: Random directions for trace and spread, at least 2.
        top: How many singular values; 0 for none, which needs backward passes only.
        steps: Lanczos steps; 0 for enough of them, four a singular value and at least 12.
        layers: Whether to estimate the norm from every layer with weights in between, too.
        seed: Seed of the directions and of dropout.

    Returns:
        The estimate.

    Raises:
        BatchError: If there is no such module, or no gradient runs between the two.
        CouldNotMeasureError: If memory runs out.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh())
        >>> found = jacobian(model, torch.randn(4, 8), top=2)
        >>> found.inputs, found.outputs, len(found.singular_values)
        (8, 8, 4)
    """
    _check_arguments(model, start, end, probes, top, steps)
    model = getattr(model, "_orig_mod", model)
    if any(is_lazy(t) for t in (*model.parameters(), *model.buffers())):
        raise BatchError(
            "the model has lazy layers, which have no size before their first input",
            help="model(inputs)   once, then unvanish.jacobian(model, batch)",
        )
    wish = _Wish(start, end, probes, top, steps, layers, seed)
    with (
        own_faults_told(),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        untouched(model, seed=seed) as snapshot,
    ):
        first = as_batch(batch, model)
        try:
            found = _estimate(model, first, snapshot, wish)
            if found.trace == 0.0 and found.dtype != "float64":
                found = _in_double(model, first, wish, found)
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory(error) from None
            raise
    return found


def _check_arguments(
    model: object, start: str, end: str, probes: int, top: int, steps: int
) -> None:
    if not isinstance(model, nn.Module):
        raise BatchError(
            f"the model is a {type(model).__name__}, not a torch.nn.Module",
            help="unvanish.jacobian(model, batch)",
        )
    if probes < 2 or top < 0 or steps < 0:
        raise BatchError(
            f"probes must be at least 2, top and steps not negative, but they are {probes}, "
            f"{top} and {steps}",
            help="unvanish.jacobian(model, batch, probes=16, top=4)",
        )
    known = dict(model.named_modules())
    for path in (start, end):
        if path and path not in known:
            raise BatchError(
                f"the model has no module {path!r}",
                help=f"such as {next((n for n in known if n), '(none)')!r}; "
                "see model.named_modules()",
            )


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for; see `jacobian`."""

    start: str
    end: str
    probes: int
    top: int
    steps: int
    layers: bool
    seed: int


def _in_double(
    model: nn.Module, batch: Batch, wish: _Wish, found: JacobianEstimate
) -> JacobianEstimate:
    """Repeat on a float64 copy what came out as zero, for it may only be too small."""
    try:
        twin = copied(model).double()
        inputs = map_tensors(batch.inputs, lambda t: t.double() if t.is_floating_point() else t)
        with widened():
            return _estimate(twin, Batch(inputs), ModelSnapshot(twin), wish)
    except Exception:
        _log.debug("the float64 copy could not be looked at", exc_info=True)
        return found


def _estimate(
    model: nn.Module, batch: Batch, snapshot: ModelSnapshot, wish: _Wish
) -> JacobianEstimate:
    runner = Runner(model, batch, snapshot, wish.start, wish.end, wish.seed, layers=wish.layers)
    run = runner.run()
    samples = _samples(run, batch)
    generator = torch.Generator().manual_seed(wish.seed)
    groups = 1 if samples > 1 and _is_coupled(run, generator) else samples
    directions = [signs(run.end, generator) for _ in range(wish.probes)]
    energies, products, by_layer = _pulled_back(run, directions, groups)
    trace, error = _mean(energies)
    inputs, outputs = run.start.numel() // groups, run.end.numel() // groups
    estimate = JacobianEstimate(
        start=wish.start,
        end=wish.end,
        inputs=inputs,
        outputs=outputs,
        samples=samples,
        coupled=samples > 1 and groups == 1,
        probes=wish.probes,
        trace=trace / groups,
        standard_error=error / groups,
        spread=_spread(energies, products, min(inputs, outputs)),
        dtype=str(run.end.dtype).removeprefix("torch."),
        layers=tuple(
            _partial(path, tensor, by_layer[path], groups, outputs)
            for path, tensor in run.between.items()
        ),
    )
    if wish.top == 0 or not trace > 0.0:
        return estimate
    push, method = pusher(run, runner, generator)
    if push is None:
        return estimate
    matrices = Matrices(
        lambda u: push(u.reshape(run.start.shape)).reshape(groups, -1).double(),
        lambda v: run.pull(v.reshape(run.end.shape)).reshape(groups, -1).double(),
        groups,
        inputs,
        outputs,
        run.start.device,
    )
    steps = min(wish.steps or max(_FEWEST_STEPS, 4 * wish.top), inputs, outputs)
    values, residual = largest_singular_values(
        matrices, min(wish.top, inputs, outputs), max(steps, 1), generator
    )
    return replace(estimate, singular_values=values, residual=residual, method=method)


def _samples(run: Run, batch: Batch) -> int:
    """Return how many samples both ends have; 1 where they have no common first axis."""
    size = batch.size
    return size if size and run.start.shape[0] == run.end.shape[0] == size else 1


def _is_coupled(run: Run, generator: torch.Generator) -> bool:
    """Tell whether the first sample's end depends on another sample's start."""
    direction = signs(run.end, generator)
    direction[1:] = 0.0
    back = run.pull(direction).double().square()
    whole = float(back.sum())
    return whole > 0.0 and float(back[1:].sum()) > _COUPLED**2 * whole


def _pulled_back(
    run: Run, directions: Sequence[Tensor], groups: int
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return |J^T v|^2 of every direction and group, their inner products, and by layer."""
    paths = list(run.between)
    rows: list[Tensor] = []
    layer_rows: dict[str, list[Tensor]] = {path: [] for path in paths}
    for direction in directions:
        own, *others = run.pull_to([run.start, *run.between.values()], direction)
        rows.append(own.reshape(groups, -1).double())
        for path, back in zip(paths, others, strict=True):
            layer_rows[path].append(back.double().square().sum())
    stack = torch.stack(rows, dim=1)  # groups x probes x inputs
    gram = stack @ stack.mT
    energies = torch.diagonal(gram, dim1=1, dim2=2)
    return energies, gram, {path: torch.stack(values) for path, values in layer_rows.items()}


def _mean(energies: Tensor) -> tuple[float, float]:
    """Return the sum over groups, averaged over probes, and its standard error."""
    whole = energies.sum(0) if energies.ndim == 2 else energies
    return float(whole.mean()), float(whole.std() / math.sqrt(len(whole)))


def _spread(energies: Tensor, gram: Tensor, rank: int) -> float:
    """Return the variance of the squared singular values over their squared mean.

    The samples are one population: their moments are averaged before the ratio is taken.
    """
    probes = energies.shape[1]
    squared = gram.square()
    pairs = squared.sum((1, 2)) - torch.diagonal(squared, dim1=1, dim2=2).sum(1)
    second = float(pairs.mean()) / (probes * (probes - 1)) / rank
    # The product of two different probes has the squared trace as its mean.
    sums = energies.sum(1)
    product = (sums.square() - energies.square().sum(1)) / (probes * (probes - 1))
    mean_squared = float(product.mean()) / rank**2
    return second / mean_squared - 1.0 if mean_squared > 0.0 else math.nan


def _partial(
    path: str, tensor: Tensor, energies: Tensor, groups: int, outputs: int
) -> PartialJacobian:
    mean, error = _mean(energies)
    scale = groups * outputs
    return PartialJacobian(
        layer=path,
        size=tensor.numel() // groups,
        apjn=mean / scale,
        standard_error=error / scale,
    )
