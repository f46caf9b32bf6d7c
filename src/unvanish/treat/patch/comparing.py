"""Hold the network of edited source against the one that was tested: weights, outputs, steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.observe.batch import Batch, as_batch, call_model, main_output
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.optimizer import build_optimizer, stepping
from unvanish.observe.tracing import trace
from unvanish.recipe import Recipe
from unvanish.treat.answering import answer
from unvanish.treat.treatment import Treated

_SURE: Final = 5.0
"""Standard deviations by which the rms of random weights may differ between two draws."""

_CLOSE: Final = 0.02
"""Largest difference of two gradients, or of two steps, as a share of their length."""

_NOISE: Final = 1e-6
"""Share of the longest gradient below which another one may be rounding alone."""

_OPTION: Final = 0.01
"""Largest relative difference of an optimiser's option: numbers are written with three digits."""


@dataclass(kw_only=True)
class _Side:
    """One of the two networks, with all that it is trained with.

    Attributes:
        model: A copy of it, whose values may be changed.
        optimizer: The optimiser of that copy; None where none is known.
        loss: As in `unvanish.trace`.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        clip: Largest gradient norm that the training loop allows by itself.
        names: Its parameters in the order of their first use.
        moved: Name to what two steps add to a parameter.
        gradients: Name to the gradient; parameters without one are left out.
        value: The loss.
        refused: What the optimiser raised; one that wants a closure takes no step here.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    loss: Any
    autocast: str
    clip: float | None
    names: list[str] = field(default_factory=list)
    moved: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    value: float = math.nan
    refused: str = ""

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Every parameter by name."""
        return dict(self.model.named_parameters())


def differences(treated: Treated, fresh: Recipe, *, rate_factor: float = 1.0) -> str:
    """Say in what a network of edited source differs from the tested one; empty where in nothing.

    With the same weights, both have to give the same outputs, the same loss and gradients, and
    move alike in two steps of their optimisers.

    Args:
        treated: What was tested.
        fresh: What the edited source gives.
        rate_factor: What the learning rates of `treated` were multiplied by.
    """
    tested, written = _tested(treated, rate_factor), _written(fresh)
    for side in (tested, written):
        side.names = _in_order(side, fresh)
    said = (
        _weights_differ(tested, written)
        or _settings_differ(tested, written)
        or _outputs_differ(tested, written, fresh)
    )
    if said:
        return said
    for side in (tested, written):
        _train(side, fresh)
    return (
        _gradients_differ(tested, written)
        or _options_differ(tested, written)
        or _steps_differ(tested, written)
    )


def _tested(treated: Treated, rate_factor: float) -> _Side:
    if treated.optimizer is None:
        model, optimizer = copied(treated.model), None
    else:
        model, optimizer = copied((treated.model, treated.optimizer))
        for group in optimizer.param_groups:
            if "lr" in group:
                group["lr"] = group["lr"] * rate_factor
    return _Side(
        model=model,
        optimizer=optimizer,
        loss=treated.loss,
        autocast=treated.autocast,
        clip=treated.clip_grad_norm,
    )


def _written(fresh: Recipe) -> _Side:
    if isinstance(fresh.optimizer, torch.optim.Optimizer):
        model, optimizer = copied((fresh.model, fresh.optimizer))
    else:
        model, optimizer = copied(fresh.model), None
        if fresh.optimizer is not None:
            optimizer = build_optimizer(fresh.optimizer, model)
    return _Side(
        model=model,
        optimizer=optimizer,
        loss=fresh.loss,
        autocast=fresh.autocast,
        clip=fresh.clip_grad_norm,
    )


def _in_order(side: _Side, fresh: Recipe) -> list[str]:
    """Return the names of the parameters that are used, in the order of their first use."""
    look = trace(
        side.model,
        fresh.batch,
        side.loss,
        batches=1,
        probe_steps=0,
        seed=fresh.seed,
        autocast=side.autocast,
    )
    used = [p for p in look.parameters if p.uses]
    ends = {p.name: (p.uses[0].site, p.name.rpartition(".")[2]) for p in used}
    return sorted(ends, key=lambda name: ends[name])


def _weights_differ(tested: _Side, written: _Side) -> str:
    """Compare the parameters, and give the written network those of the tested one."""
    if len(tested.names) != len(written.names):
        return f"it has {len(written.names)} parameters that are used, and not {len(tested.names)}"
    old, new = tested.parameters, written.parameters
    with torch.no_grad():
        for name, other in zip(tested.names, written.names, strict=True):
            if old[name].shape != new[other].shape:
                return f"{other} is {tuple(new[other].shape)}, and not {tuple(old[name].shape)}"
            if not _alike(old[name], new[other]):
                return f"{other} starts at another size than {name}"
            new[other].copy_(old[name])
        _share_the_rest(tested, written)
    return ""


def _share_the_rest(tested: _Side, written: _Side) -> None:
    """Give frozen parameters and buffers of one name the same values: they may be drawn too."""
    for mine, theirs in (
        (tested.model.named_parameters(), written.parameters),
        (tested.model.named_buffers(), dict(written.model.named_buffers())),
    ):
        for name, values in mine:
            other = theirs.get(name)
            if name in tested.names or other is None or other.shape != values.shape:
                continue
            if other.dtype == values.dtype and _alike(values, other):
                other.copy_(values)


def _settings_differ(tested: _Side, written: _Side) -> str:
    """Say which setting of a normalisation is another, too small though its effect may be here."""
    mine, theirs = _settings(tested.model), _settings(written.model)
    for key, values in mine.items():
        found = theirs.get(key, [])
        if len(values) != len(found):
            continue  # one of them may be unused, or written as a function
        for value, other in zip(values, found, strict=True):
            if not math.isclose(value, other, rel_tol=_OPTION):
                kind, option = key
                return f"its {kind} has {option}={other:.3g}, and not {value:.3g}"
    return ""


def _settings(model: nn.Module) -> dict[tuple[str, str], list[float]]:
    """Return kind and option of the normalisations to their values, in rising order."""
    found: dict[tuple[str, str], list[float]] = {}
    for module in model.modules():
        if any(True for _ in module.children()):
            continue  # what a whole network calls eps may be its optimiser's
        for option in ("eps", "momentum"):
            value = getattr(module, option, None)
            if isinstance(value, float):
                found.setdefault((type(module).__name__, option), []).append(value)
    return {key: sorted(values) for key, values in found.items()}


def _outputs_differ(tested: _Side, written: _Side, fresh: Recipe) -> str:
    outputs = []
    for side in (tested, written):
        seed_everything(fresh.seed)
        inputs = as_batch(fresh.batch, side.model).inputs
        outputs.append(main_output(answer(copied(side.model), inputs)))
    if outputs[0] is None or outputs[1] is None or outputs[0].shape != outputs[1].shape:
        return "its outputs have another shape"
    if not torch.allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-5, equal_nan=True):
        return "with the same weights it computes something else"
    return ""


def _train(side: _Side, fresh: Recipe) -> None:
    """Note the loss and its gradients, and what two steps along them do to the parameters."""
    device = next((p.device for p in side.model.parameters()), torch.device("cpu"))
    batch = as_batch(fresh.batch, side.model)
    seed_everything(fresh.seed)
    side.model.zero_grad()
    with running(Conditions(side.loss, fresh.seed, side.autocast, {}), device):
        output = call_model(side.model, batch.inputs)
        loss = compute_loss(side.loss, output, Batch(batch.inputs, batch.target))[0]
    side.value = float(loss.detach())
    loss.backward()
    before = {name: p.detach().clone() for name, p in side.parameters.items()}
    side.gradients = {
        name: p.grad.detach().to_dense().clone()
        for name, p in side.parameters.items()
        if p.grad is not None
    }
    if side.optimizer is None:
        return
    if side.clip is not None:
        torch.nn.utils.clip_grad_norm_(side.model.parameters(), side.clip)
    try:
        for _ in range(2):  # a warm-up shows in the second
            side.optimizer.step()
    except Exception as error:
        side.refused = f"{type(error).__name__}: {error}"
        return
    side.moved = {name: p.detach() - before[name] for name, p in side.parameters.items()}


def _gradients_differ(tested: _Side, written: _Side) -> str:
    if not math.isclose(tested.value, written.value, rel_tol=1e-3, abs_tol=1e-6) and not (
        math.isnan(tested.value) and math.isnan(written.value)
    ):
        return f"its loss is {written.value:.4g}, and not {tested.value:.4g}"
    for name, other, mine, theirs in _pairs(tested, written, "gradients"):
        if (mine is None) is not (theirs is None):
            return f"{other} gets {'no' if theirs is None else 'a'} gradient"
        if mine is not None and theirs is not None and not _near(mine, theirs):
            if _is_noise(tested, name):
                continue
            return f"with the same weights the gradient of {other} is another"
    return ""


def _options_differ(tested: _Side, written: _Side) -> str:
    """Say in which option the optimiser of the edited source differs from the tested one."""
    if tested.optimizer is None:
        return ""
    if written.optimizer is None:
        return f"it makes no optimiser, and {type(stepping(tested.optimizer)).__name__} was tested"
    one, other = stepping(tested.optimizer), stepping(written.optimizer)
    if type(one) is not type(other):
        return f"its optimiser is {type(other).__name__}, and not {type(one).__name__}"
    mine, theirs = _options(tested), _options(written)
    for name, twin in zip(tested.names, written.names, strict=True):
        if (name in mine) is not (twin in theirs):
            return f"its optimiser {'holds' if twin in theirs else 'does not hold'} {twin}"
        for key, value in mine.get(name, {}).items():
            found = theirs[twin].get(key)
            if key in _OF_A_SCHEDULE or not isinstance(found, int | float):
                continue
            if isinstance(value, int | float) and not math.isclose(value, found, rel_tol=_OPTION):
                return f"its optimiser has {key}={found:g}, and not {value:g}"
    return ""


_OF_A_SCHEDULE: Final = frozenset({"lr", "initial_lr"})
"""Options that a warm-up moves; what they come to shows in the steps."""


def _options(side: _Side) -> dict[str, dict[str, Any]]:
    """Return each parameter's options of the optimiser."""
    assert side.optimizer is not None
    names = {id(p): name for name, p in side.parameters.items()}
    return {
        names[id(p)]: group
        for group in side.optimizer.param_groups
        for p in group["params"]
        if id(p) in names
    }


def _steps_differ(tested: _Side, written: _Side) -> str:
    if written.refused and not tested.refused:
        return f"its optimiser raises {written.refused}"
    for name, other, mine, theirs in _pairs(tested, written, "moved"):
        if mine is None or theirs is None or _is_noise(tested, name):
            continue
        if not _near(mine, theirs):
            a, b = (float(t.double().square().mean().sqrt()) for t in (mine, theirs))
            return f"two steps of its optimiser move {other} by {b:.3g}, and not by {a:.3g}"
    return ""


def _pairs(
    tested: _Side, written: _Side, what: str
) -> list[tuple[str, str, Tensor | None, Tensor | None]]:
    mine, theirs = getattr(tested, what), getattr(written, what)
    return [
        (name, other, mine.get(name), theirs.get(other))
        for name, other in zip(tested.names, written.names, strict=True)
    ]


def _is_noise(side: _Side, name: str) -> bool:
    """Tell whether a gradient may be rounding: so short beside the longest one."""
    sizes = {key: _size(value) for key, value in side.gradients.items()}
    longest = max((s for s in sizes.values() if math.isfinite(s)), default=0.0)
    return sizes.get(name, 0.0) <= _NOISE * longest


def _near(one: Tensor, other: Tensor) -> bool:
    if not (bool(one.isfinite().all()) and bool(other.isfinite().all())):
        return bool(torch.equal(one.isfinite(), other.isfinite()))
    return _size(one.double() - other.double()) <= _CLOSE * max(_size(one), _size(other))


def _size(values: Tensor) -> float:
    return float(values.detach().double().norm())


def _alike(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors can be draws of one distribution, by their size."""
    a, b = (float(t.detach().double().square().mean().sqrt()) for t in (one, other))
    allowed = _SURE * math.sqrt(1.0 / max(1, one.numel()))
    return abs(a - b) <= max(1e-6, allowed * max(a, b))
