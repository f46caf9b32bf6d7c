"""Write what parts equal units and opens zeros, behind the code that builds the network."""

from __future__ import annotations

from functools import partial
from typing import Final

from unvanish.treat.parting import Draw, draw_of
from unvanish.treat.patch.builder import Builder, builder_of, indexed
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.parameters import over
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work
from unvanish.treat.recurrent import kind_of

REMEDIES: Final = frozenset({"break-symmetry"})

_INITS: Final = {"gates": "xavier_uniform_", "turns": "orthogonal_"}


def rewrite(work: Work) -> None:
    """Write how every parameter of the prescription is drawn.

    Raises:
        NoSafeEditError: If a weight is computed from other numbers, or cannot be named.
    """
    builder = builder_of(work)
    torch = builder.source.spell("torch.no_grad").rpartition(".")[0]
    init = builder.source.spell("torch.nn.init")
    places, noise = work.prescription.places, float(work.prescription.settings["noise"])
    draws = {name: draw_of(name, work.model, work.anatomy, noise) for name in places}
    computed = next((n for n in places if "parametrizations." in n or n.endswith("_v")), "")
    if computed:
        raise NoSafeEditError(f"{computed} makes a weight with other numbers")
    lines: list[str] = []
    for path in dict.fromkeys(name.rpartition(".")[0] for name in places):
        module = work.model.get_submodule(path)
        own = [n for n, _ in module.named_parameters() if n.startswith(("weight_ih", "weight_hh"))]
        is_only = len([m for m in work.model.modules() if type(m) is type(module)]) == 1
        whole = all(f"{path}.{name}".lstrip(".") in draws for name in own)
        if kind_of(module) and is_only and whole:
            blocks = draws[f"{path}.{own[0]}".lstrip(".")].blocks
            lines += _recurrence(work, builder, path, blocks, init)
            draws = {n: one for n, one in draws.items() if n.rpartition(".")[0] != path}
    groups: dict[Draw, list[str]] = {}
    for name, draw in draws.items():
        groups.setdefault(draw, []).append(name)
    for draw, names in groups.items():
        write = partial(_drawn, draw=draw, init=init, torch=torch)
        lines += over(names, work.model, builder, write)
    builder.append([f"with {torch}.no_grad():", *(f"    {line}" for line in lines)])


def _recurrence(work: Work, builder: Builder, path: str, blocks: int, init: str) -> list[str]:
    """Return the lines that draw every matrix of a layer or cell of torch.nn."""
    called = indexed(builder.network, path, work.model) if path else builder.network
    gates = f"parameter.chunk({blocks})" if blocks > 1 else "(parameter,)"
    return [
        f"for name, parameter in {called}.named_parameters():",
        f"    for gate in {gates}:",
        '        if name.startswith("weight_ih"):',
        f"            {init}.xavier_uniform_(gate)",
        '        elif name.startswith("weight_hh"):',
        f"            {init}.orthogonal_(gate)",
    ]


def _drawn(called: str, draw: Draw, init: str, torch: str) -> list[str]:
    """Return the statements that draw one parameter."""
    match draw.how:
        case "ones":
            return [f"{init}.ones_({called})"]
        case "noise":
            number = spelt(draw.deviation, 4)
            return [f"{called}.add_({torch}.randn_like({called}), alpha={number})"]
        case "normal":
            silent = [f"{called}[{draw.silent}] = 0.0"] if draw.silent >= 0 else []
            return [f"{init}.normal_({called}, std={spelt(draw.deviation, 4)})", *silent]
    if draw.blocks == 1:
        return [f"{init}.{_INITS[draw.how]}({called})"]
    return [f"for gate in {called}.chunk({draw.blocks}):", f"    {init}.{_INITS[draw.how]}(gate)"]
