"""Write the biases of the gates that keep a recurrent layer's memory."""

from __future__ import annotations

from typing import Final

from torch import nn

from unvanish.treat.patch.builder import builder_of, indexed
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"forget-bias", "chrono"})

_GATES: Final[dict[type[nn.Module], int]] = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}
"""Gates whose biases are stacked; the second of them keeps the memory in all four."""


def rewrite(work: Work) -> None:
    """Write the biases of every layer of the prescription behind the code that builds it.

    Raises:
        NoSafeEditError: If a layer is none of torch.nn, or only a part of it is meant.
    """
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
    lines = [
        f"    for name, bias in {module}.named_parameters():",
        '        if name.startswith("bias_"):',
        f"            units = bias.numel() // {gates}",
    ]
    if work.prescription.remedy == "forget-bias":
        value = float(work.prescription.settings["bias"])
        kept = f'{value:.6g} if name.startswith("bias_ih") else 0.0'
        return [*lines, f"            bias[units : 2 * units] = {kept}"]
    longest = int(work.prescription.settings["longest"])
    lines += [
        f"            memory = {torch}.empty(units).uniform_(1, {longest - 1}).log()",
        '            memory = memory if name.startswith("bias_ih") else 0.0 * memory',
        "            bias[units : 2 * units] = memory",
    ]
    return [*lines, "            bias[:units] = -memory"] if gates == 4 else lines
