"""Layers and tensors that a network uses and does not register, and how to register them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from unvanish.core.prescriptions import Edit
from unvanish.treat.surgery import Surgery


@dataclass(frozen=True, slots=True)
class Unregistered:
    """An attribute of a module that holds trainable tensors PyTorch does not know of.

    Attributes:
        path: Path of the module.
        name: Name of the attribute.
        kind: ``"list"``, ``"dict"`` or ``"tensor"``.
        tensors: How many trainable tensors it holds.
        shapes: Their shapes.
    """

    path: str
    name: str
    kind: str
    tensors: int
    shapes: frozenset[tuple[int, ...]] = frozenset()

    @property
    def place(self) -> str:
        """Path of the attribute."""
        return f"{self.path}.{self.name}".lstrip(".")


def unregistered(model: nn.Module) -> tuple[Unregistered, ...]:
    """Return the attributes of a network that hold layers or trainable tensors unregistered.

    Args:
        model: The network.
    """
    known = {id(parameter) for parameter in model.parameters()}
    found = []
    for path, module in model.named_modules():
        for name, value in list(vars(module).items()):
            if name.startswith("_"):
                continue
            kind, tensors = _held(value)
            missing = {id(t): tuple(t.shape) for t in tensors if t.requires_grad and t.is_leaf}
            for own in known & missing.keys():
                del missing[own]
            if kind and missing:
                shapes = frozenset(missing.values())
                found.append(Unregistered(path, name, kind, len(missing), shapes))
    return tuple(found)


def register(surgery: Surgery, one: Unregistered) -> None:
    """Register what an attribute holds, under the attribute's own name.

    Args:
        surgery: Of the network.
        one: What to register.
    """
    model = surgery.model
    module = model.get_submodule(one.path) if one.path else model
    value: Any = vars(module)[one.name]
    order = list(vars(module))
    del module.__dict__[one.name]
    after: Any
    if one.kind == "tensor":
        after = value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach())
        module.register_parameter(one.name, after)
    else:
        after = nn.ModuleList(value) if one.kind == "list" else nn.ModuleDict(value)
        after.training = module.training
        module.add_module(one.name, after)

    def undo() -> None:
        (module._parameters if one.kind == "tensor" else module._modules).pop(one.name)
        rest = {key: module.__dict__[key] for key in order if key in module.__dict__}
        for key in order:
            module.__dict__.pop(key, None)
        for key in order:
            module.__dict__[key] = value if key == one.name else rest[key]

    words = {"list": "a plain list", "dict": "a plain dict", "tensor": "a plain tensor"}[one.kind]
    surgery.hold(undo, Edit(place=one.place, before=words, after=type(after).__name__))


def _held(value: Any) -> tuple[str, list[Tensor]]:
    """Return how an attribute holds its tensors, and the tensors; "" where it cannot be changed."""
    if isinstance(value, Tensor):
        return "tensor", [value]
    if isinstance(value, list | tuple) and value and all(isinstance(v, nn.Module) for v in value):
        return "list", list(_parameters(value))
    if (
        isinstance(value, dict)
        and value
        and all(isinstance(v, nn.Module) for v in value.values())
        and all(isinstance(k, str) and k and "." not in k for k in value)
        and not any(hasattr(nn.ModuleDict, k) for k in value)
    ):
        return "dict", list(_parameters(value.values()))
    return "", []


def _parameters(modules: Any) -> Iterator[nn.Parameter]:
    for module in modules:
        yield from module.parameters()
