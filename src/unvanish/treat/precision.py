"""Number formats: a loss that is scaled, gradients that are scaled back, islands of float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Edit
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.treat.optimising.wrapper import Gradient, Treatment
from unvanish.treat.protocol import Case, Patient

HALVES: Final = (torch.float16, torch.bfloat16)

_LARGEST_EXPONENT: Final = 24
"""Of the scale: beyond it the loss itself leaves the range of float16."""

_LARGEST: Final = 2.0**_LARGEST_EXPONENT
_GROWS_AFTER: Final = 2000
"""Steps without an overflow after which the scale is doubled, as `torch.amp.GradScaler` does."""

_HEADROOM: Final = 3
"""Binary digits that the gradient may grow before it overflows."""


@dataclass(eq=False)
class Scale:
    """The factor that a loss and its optimiser share. Copies of either go on to share it.

    Attributes:
        value: A power of two, so that nothing is rounded.
        good: Steps without an overflow since it was last changed.
        left_out: Steps that were left out.
    """

    value: float
    good: int = 0
    left_out: int = 0

    def overflowed(self) -> None:
        """Halve it."""
        self.value, self.good = max(1.0, self.value / 2.0), 0
        self.left_out += 1

    def went_well(self) -> None:
        """Count a step, and double it after enough of them."""
        self.good += 1
        if self.good >= _GROWS_AFTER and self.value < _LARGEST:
            self.value, self.good = 2.0 * self.value, 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Scale:
        return self


@dataclass(frozen=True, eq=False)
class ScaledLoss:
    """A loss times a factor: ``loss(output, target)``.

    Attributes:
        loss: As in `unvanish.trace`.
        scale: The factor.
    """

    loss: Callable[..., Any] | str | None
    scale: Scale

    @property
    def __name__(self) -> str:
        return "the loss, scaled" if self.loss is None else f"{loss_name(self.loss)}, scaled"

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the scaled loss."""
        return self.scale.value * compute_loss(self.loss, output, Batch(None, target))[0]


@dataclass(eq=False)
class Unscale(Treatment):
    """Divide the gradient by the scale of the loss, and leave a step out that has overflowed.

    Attributes:
        scale: What the loss is multiplied by.
    """

    scale: Scale
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Divide every gradient; take all of them off where one is not finite."""
        if not all(bool(one.values.isfinite().all()) for one in gradients):
            self.scale.overflowed()
            for one in gradients:
                one.parameter.grad = None
            return
        for one in gradients:
            one.values.div_(self.scale.value)
        self.scale.went_well()

    def state(self) -> dict[str, Any]:
        """Return the scale."""
        return {"scale": self.scale.value, "good": self.scale.good}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up the scale."""
        self.scale.value, self.scale.good = float(state["scale"]), int(state["good"])

    def __repr__(self) -> str:
        return f"Unscale(scale={self.scale.value:g})"


def largest_scale(case: Case) -> float:
    """Return the largest power of two that a loss can be multiplied by; 0 where none is.

    The backward pass is run in the case's own number format, and no gradient of a parameter may
    overflow with eight times as much.

    Args:
        case: The network; it stays as it is.
    """
    low, high = -1, _LARGEST_EXPONENT + _HEADROOM
    while low < high:
        middle = (low + high + 1) // 2
        if _is_finite(case, 2.0**middle):
            low = middle
        else:
            high = middle - 1
    return 2.0 ** (low - _HEADROOM) if low >= _HEADROOM else 0.0


def _is_finite(case: Case, scale: float) -> bool:
    context = case.recording.context
    parameters = [p for p in case.model.parameters() if p.requires_grad]
    device = next((p.device for p in parameters), torch.device("cpu"))
    conditions = Conditions(case.loss, context.seed, context.autocast, {})
    with untouched(case.model, seed=context.seed), running(conditions, device):
        seed_everything(context.seed)
        inputs = map_tensors(case.batch.inputs, lambda t: t.detach().clone())
        output = call_model(case.model, inputs)
        loss = compute_loss(case.loss, output, case.batch)[0]
        if not loss.requires_grad:
            return False
        found: Sequence[Tensor | None] = torch.autograd.grad(
            scale * loss, parameters, allow_unused=True
        )
    return all(
        g is None or bool((g.coalesce().values() if g.is_sparse else g).isfinite().all())
        for g in found
    )


def set_loss(patient: Patient, loss: Callable[..., Any], *, before: str, after: str) -> None:
    """Put another loss in the place of a patient's, with books and undo."""
    old = patient.loss

    def undo() -> None:
        patient.loss = old

    patient.loss = loss
    patient.surgery.hold(undo, Edit(place="", before=before, after=after))


def set_autocast(patient: Patient, dtype: str) -> None:
    """Train under autocast of another type, with books and undo."""
    old = patient.autocast

    def undo() -> None:
        patient.autocast = old

    patient.autocast = dtype
    before = f"autocast to {old}" if old else "no autocast"
    patient.surgery.hold(undo, Edit(place="", before=before, after=f"autocast to {dtype}"))


class Widen(nn.Module):
    """A signal in float32."""

    def forward(self, signal: Tensor) -> Tensor:
        """Return it in float32, where it is of 16 bits."""
        return signal.float() if signal.dtype in HALVES else signal


class Narrow(nn.Module):
    """A signal in a type of 16 bits.

    Args:
        dtype: ``"float16"`` or ``"bfloat16"``.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, signal: Tensor) -> Tensor:
        """Return it in that type, where it is in float32."""
        wanted: torch.dtype = getattr(torch, self.dtype)
        return signal.to(wanted) if signal.dtype is torch.float32 else signal

    def extra_repr(self) -> str:
        """Return the type."""
        return self.dtype


def widen_parameters(patient: Patient, path: str) -> None:
    """Keep the parameters and buffers of a module in float32; their state goes along.

    Args:
        patient: The network.
        path: Path of the module.

    Raises:
        UnvanishError: If it has none of 16 bits.
    """
    module = patient.model.get_submodule(path)
    tensors = [t for t in (*module.parameters(), *module.buffers()) if t.dtype in HALVES]
    if not tensors:
        raise UnvanishError("the module has no parameters of 16 bits", where=path)
    old = [(tensor, tensor.data, tensor.grad) for tensor in tensors]
    optimizer = patient.optimizer
    states: list[tuple[Any, dict[str, Any]]] = []
    for tensor, data, grad in old:
        tensor.grad = None
        tensor.data = data.float()
        tensor.grad = None if grad is None else grad.float()
        if optimizer is not None and tensor in optimizer.state:
            own = optimizer.state[tensor]
            states.append((tensor, dict(own)))
            for key, value in own.items():
                if isinstance(value, Tensor) and value.dtype in HALVES:
                    own[key] = value.float()

    def undo() -> None:
        for tensor, data, grad in old:
            tensor.grad = None
            tensor.data = data
            tensor.grad = grad
        for tensor, own in states:
            if optimizer is not None:
                optimizer.state[tensor].update(own)

    dtype = str(old[0][1].dtype).removeprefix("torch.")
    patient.surgery.hold(undo, Edit(place=path, before=dtype, after="float32"))
