"""Other values for parameters: plain ones, and those that a parametrisation computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.places import SourceLine
from unvanish.treat.books import Books
from unvanish.treat.refusals import CannotTreatError


class ValueSurgery(Books):
    """Gives parameters other values."""

    def set_values(self, name: str, values: Tensor, *, source: SourceLine | None = None) -> None:
        """Give a parameter other values. Type, device, gradient flag and ties stay.

        Args:
            name: Name in ``named_parameters()``. The original of a parametrised weight is set so
                that the weight becomes `values`, where the parametrisation can be inverted.
            values: Tensor of the parameter's shape.
            source: The user's line that made the layer.

        Raises:
            CannotTreatError: If there is no such parameter, or it is computed from others in a
                way that has no inverse.
        """
        module, leaf = self._owner(name)
        stem = name.rpartition(".")[0]
        if stem.endswith("parametrizations." + leaf) or ".parametrizations." in f".{name}":
            self._set_parametrised(name, values)
            return
        parameter = module._parameters.get(leaf)
        if parameter is None:
            raise CannotTreatError("there is no such parameter", where=name)
        if parameter.shape != values.shape:
            raise CannotTreatError(
                f"the values are {tuple(values.shape)}, the parameter {tuple(parameter.shape)}",
                where=name,
            )
        before = parameter.detach().clone()
        with torch.no_grad():
            parameter.copy_(values)

        def undo() -> None:
            with torch.no_grad():
                parameter.copy_(before)

        self._undo.append(undo)
        if not torch.equal(before, parameter.detach()):
            self._note(name, f"rms {_rms(before)}", f"rms {_rms(parameter)}", source)

    def _set_parametrised(self, name: str, values: Tensor) -> None:
        path, _, rest = name.rpartition("parametrizations.")
        leaf = rest.split(".")[0]
        module = self.model.get_submodule(path.rstrip("."))
        parts: nn.Module = module.parametrizations[leaf]  # type: ignore[index,assignment]
        kept = [(t, t.detach().clone()) for t in (*parts.parameters(), *parts.buffers())]
        tables = [(part, dict(part._buffers)) for part in parts.modules()]

        def undo() -> None:
            for part, buffers in tables:
                part._buffers.update(buffers)
            with torch.no_grad():
                for tensor, old in kept:
                    tensor.copy_(old)

        reason = f"the weight is computed by {_parametrisations(module, leaf)}"
        with torch.no_grad():
            before = getattr(module, leaf).detach().clone()
            try:
                setattr(module, leaf, values.to(before))
            except Exception as error:
                undo()
                raise CannotTreatError(
                    f"{reason}, which cannot be turned round", where=name
                ) from error
            now = getattr(module, leaf)
            if not torch.allclose(now, values.to(now), rtol=0.02, atol=0.02 * float(now.std())):
                undo()
                raise CannotTreatError(f"{reason}, which gives other values", where=name)
        self._undo.append(undo)
        self._note(name, f"rms {_rms(before)}", f"rms {_rms(now)}", None)

    def weight_of(self, name: str) -> Tensor:
        """Return the values of a parameter, or of the weight that a parametrisation computes."""
        module, leaf = self._owner(name)
        if ".parametrizations." in f".{name}":
            path, _, rest = name.rpartition("parametrizations.")
            weight: Tensor = getattr(self.model.get_submodule(path.rstrip(".")), rest.split(".")[0])
            return weight.detach()
        return module._parameters[leaf].detach()  # type: ignore[union-attr]

    def add_bias(self, path: str) -> None:
        """Give a linear or convolution layer the bias it lacks, at zero."""
        module = self.model.get_submodule(path)
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or module._parameters.get("bias") is not None:
            return
        transposed = getattr(module, "transposed", False)
        units = (
            int(weight.shape[1]) * int(getattr(module, "groups", 1))
            if transposed
            else int(weight.shape[0])
        )
        had = "bias" in module._parameters
        bias = nn.Parameter(torch.zeros(units, dtype=weight.dtype, device=weight.device))
        module.register_parameter("bias", bias)
        self._join_optimizer([bias], like=[weight])

        def undo() -> None:
            if had:
                module._parameters["bias"] = None
            else:
                del module._parameters["bias"]

        self._undo.append(undo)
        self._note(f"{path}.bias".lstrip("."), "none", "zeros", None)


def _parametrisations(module: nn.Module, leaf: str) -> str:
    parts: Mapping[str, Any] = getattr(module, "parametrizations", {})
    return ", ".join(type(part).__name__ for part in parts[leaf]) if leaf in parts else "others"


def _rms(tensor: Tensor) -> str:
    values = tensor.detach()
    if not values.numel():
        return "0"
    size = float(values.abs().square().mean(dtype=torch.float32).sqrt())
    return f"{size:.3g}"
