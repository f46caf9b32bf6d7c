"""Write how a recurrent layer starts: the gates that keep its memory, the matrix of its state."""

from __future__ import annotations

from typing import Final

from torch import nn

from unvanish.treat.patch.builder import builder_of, indexed
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"forget-bias", "chrono", "orthogonal-recurrence"})

_GATES: Final[dict[type[nn.Module], int]] = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}
"""Gates whose biases are stacked; the second of them keeps the memory in all four."""


def rewrite(work: Work) -> None:
    """Write the start of every layer of the prescription behind the code that builds it.

    Raises:
        NoSafeEditError: If a layer is none of torch.nn, or only a part of it is meant.
    """
    if work.prescription.remedy == "orthogonal-recurrence":
        _write_matrices(work)
        return
    builder = builder_of(work)
    torch = builder.source.spell("torch.no_grad").rpartition(".")[0]
    lines: list[str] = [f"with {torch}.no_grad():"]
    for path in dict.fromkeys(place.rpartition(".")[0] for place in work.prescription.places):
        module = work.model.get_submodule(path)
        meant = {p.rpartition(".")[2] for p in work.prescription.places if p.startswith(f"{path}.")}
        own = {name for name, _ in module.named_parameters() if name.startswith("bias_ih")}
        if type(module) not in _GATES or meant != own:
            raise NoSafeEditError(f"{path} is not an LSTM or GRU of torch.nn as a whole")
        lines += _layer(
            work, indexed(builder.network, path, work.model), _GATES[type(module)], torch
        )
    builder.append(lines)


def _layer(work: Work, module: str, gates: int, torch: str) -> list[str]:
    if work.prescription.remedy == "forget-bias":
        return gate_lines(module, gates, float(work.prescription.settings["bias"]))
    longest = int(work.prescription.settings["longest"])
    lines = [
        *_head(module, gates),
        f"            memory = {torch}.empty(units).uniform_(1, {longest - 1}).log()",
        '            memory = memory if name.startswith("bias_ih") else 0.0 * memory',
        "            bias[units : 2 * units] = memory",
    ]
    return [*lines, "            bias[:units] = -memory"] if gates == 4 else lines


def gate_lines(module: str, gates: int, value: float) -> list[str]:
    """Return the lines of a block that set the bias of the gate that keeps the memory.

    Args:
        module: The layer, as code.
        gates: How many gates it has, candidates included; the second keeps the memory.
        value: The bias.
    """
    kept = f'{spelt(value, 6)} if name.startswith("bias_ih") else 0.0'
    return [*_head(module, gates), f"            bias[units : 2 * units] = {kept}"]


def _head(module: str, gates: int) -> list[str]:
    return [
        f"    for name, bias in {module}.named_parameters():",
        '        if name.startswith("bias_"):',
        f"            units = bias.numel() // {gates}",
    ]


def _write_matrices(work: Work) -> None:
    """Write what draws the matrices that lead from one step to the next.

    Raises:
        NoSafeEditError: If only some matrices of a layer are meant.
    """
    builder = builder_of(work)
    torch = builder.source.spell("torch.no_grad").rpartition(".")[0]
    init = builder.source.spell("torch.nn.init")
    lines: list[str] = [f"with {torch}.no_grad():"]
    places = work.prescription.places
    for path in dict.fromkeys(place.rpartition(".")[0] for place in places):
        module = work.model.get_submodule(path)
        leaves = [p.rpartition(".")[2] for p in places if p.rpartition(".")[0] == path]
        draws = {_drawn(work, f"{path}.{leaf}".lstrip(".")) for leaf in leaves}
        name = indexed(builder.network, path, work.model) if path else builder.network
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            own = [n for n, _ in module.named_parameters() if n.startswith("weight_hh")]
            if set(own) != set(leaves) or len(draws) != 1:
                raise NoSafeEditError(f"only some matrices of {path} are meant")
            lines += _stacked(name, init, draws.pop())
            continue
        for leaf in leaves:
            drawn = _drawn(work, f"{path}.{leaf}".lstrip("."))
            lines.append(f"    {init}.{drawn}({name}.{leaf})")
            if drawn == "eye_" and isinstance(getattr(module, "bias", None), nn.Parameter):
                lines.append(f"    {init}.zeros_({name}.bias)")
    builder.append(lines)


def _drawn(work: Work, weight: str) -> str:
    is_identity = work.prescription.settings.get(weight) != "orthogonal"
    return "eye_" if is_identity else "orthogonal_"


def _stacked(name: str, init: str, drawn: str) -> list[str]:
    lines = [
        f"    for name, parameter in {name}.named_parameters():",
        '        if name.startswith("weight_hh"):',
        f"            for gate in parameter.split({name}.hidden_size):",
        f"                {init}.{drawn}(gate)",
    ]
    if drawn == "eye_":
        lines += [
            '        elif name.startswith("bias_"):',
            f"            {init}.zeros_(parameter)",
        ]
    return lines
