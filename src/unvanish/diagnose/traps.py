"""The traps that UV505 knows by name: what each does, and what to write in its place."""

from __future__ import annotations

from typing import Final, NamedTuple

from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.diagnose.cuts import is_derivative, site_of

_ON_PURPOSE: Final = frozenset({"detach", "detach_"})
_NUMBERS: Final = frozenset({"item", "tolist", "numpy", "array", "float", "int", "bool"})
_COPIES: Final = frozenset(
    {"tensor", "as_tensor", "asarray", "from_numpy", "scalar_tensor", "Parameter", "Variable"}
)


class Trap(NamedTuple):
    """What a trap does, and what to write in its place."""

    kind: str
    does: str
    help: tuple[str, ...]


_CHECKPOINT: Final = Trap(
    "checkpoint",
    "a reentrant checkpoint gives {who} no gradient, since none of its inputs asks for one",
    (
        "torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)",
        "or let an input ask for one: x.requires_grad_() before the checkpoint "
        "(model.enable_input_require_grads() in transformers)",
    ),
)
_NO_GRAD: Final = Trap(
    "no_grad",
    "{op} runs under torch.no_grad(), and {who} get{s} no gradient",
    (
        "take the line out of torch.no_grad() or torch.inference_mode(); to save memory there, "
        "use torch.utils.checkpoint",
        "if the part is meant to stay as it is: part.requires_grad_(False)",
    ),
)
DRAW: Final = Trap(
    "draw",
    ".sample() draws without a gradient, and {who} get{s} none",
    (
        "take rsample() in place of sample(): the same numbers, with the gradient of what they "
        "are drawn by",
        "where the draw is an action, put its log_prob() into the loss",
    ),
)
DERIVATIVE_HELP: Final = (
    "create_graph=True in that call: the derivative is a part of the graph then, as every other "
    "value is",
    "where it is meant as a constant, say so: .detach()",
)
_DATA: Final = Trap(
    "data",
    ".data hands on the values without the gradient of {end}",
    (
        "use the tensor itself in place of its .data",
        "where no gradient is wanted, say so: .detach(), and requires_grad_(False) on the "
        "parameters",
    ),
)
_NUMBER: Final = Trap(
    "export",
    "the value of {who} leaves for numpy or Python numbers and comes back without a gradient",
    (
        "stay in torch on the way to the loss: numpy's functions have a namesake in torch, "
        "and x.mean() in place of x.mean().item() is a tensor that broadcasts",
        "or write the step as a torch.autograd.Function with its own backward()",
    ),
)
_COPY: Final = Trap(
    "copy",
    "{op} makes a new tensor of the values, without the gradient of {end}",
    (
        "use the tensor itself; torch.stack or torch.cat joins several and keeps the gradient",
        "create nn.Parameter in __init__, never in forward",
    ),
)
_SILENT_BACKWARD: Final = Trap(
    "function",
    "the backward pass of {op} returns no gradient for {end}",
    ("return a gradient for every input that needs one from backward(), None only for the rest",),
)


def trap_of(recording: Recording, parameter: Parameter) -> tuple[Trap, Site] | None:
    """Return the trap a parameter's gradient ends in; None where it ends in no trap.

    Args:
        recording: What was measured.
        parameter: One that gets no gradient.

    Returns:
        The trap and the step that is it.
    """
    names = {parameter.name, *parameter.aliases}
    ways = (c for c in recording.cuts if not c.writes and not is_derivative(c))
    call = next((c for c in ways if names & set(c.parameters)), None)
    if call is None:
        return _silent_backward(recording, names)
    if call.under == "checkpoint":
        return _CHECKPOINT, site_of(call)
    if call.under == "export" or call.op in _NUMBERS:
        return _NUMBER, site_of(call)
    if call.op in _ON_PURPOSE:
        return None
    if call.op == "data":
        return _DATA, site_of(call)
    if call.under == "sample":
        return DRAW, site_of(call)
    if call.under == "no_grad":
        return _NO_GRAD, site_of(call)
    return (_COPY, site_of(call)) if call.op in _COPIES else None


def _silent_backward(recording: Recording, names: set[str]) -> tuple[Trap, Site] | None:
    """Return the step that got a gradient and sent none on to its weight."""
    arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    for site in recording.sites:
        if names & set(site.weights) and site in arrived:
            return _SILENT_BACKWARD, site
    return None
