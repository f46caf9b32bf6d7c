"""Write how gates and routers start: some entries of a bias, the size of a weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from torch import nn

from unvanish.treat.patch.builder import Builder, builder_of, indexed
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.parameters import over
from unvanish.treat.patch.rewriters.memory import gate_lines
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work
from unvanish.treat.remedies.open_gate import read_openings

REMEDIES: Final = frozenset({"open-gate", "carry-gate", "soften-router"})

_GATES: Final[dict[type[nn.Module], int]] = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}
_MEMORY: Final = "gate 1"
_MOST_PARTS: Final = 4
"""Most gates that one bias is taken to be made of."""


def rewrite(work: Work) -> None:
    """Write the values behind the code that builds the network.

    Raises:
        NoSafeEditError: If scores are scaled and no weight, or a parameter cannot be named.
    """
    builder = builder_of(work)
    torch = builder.source.spell("torch.no_grad").rpartition(".")[0]
    known = dict(work.model.named_parameters())
    groups: dict[tuple[str, ...], list[str]] = {}
    lines = [f"with {torch}.no_grad():"]
    for place in work.prescription.places:
        said = work.prescription.settings[place]
        if place not in known:
            raise NoSafeEditError(f"{place or 'the network'} divides scores, and no weight does")
        if "gate " in str(said):
            lines += _of_cell(work, builder, place, str(said))
        else:
            groups.setdefault(tuple(_changes(said, known[place])), []).append(place)
    for changes, names in groups.items():
        made = over(names, work.model, builder, partial(_changed, changes=changes))
        lines += [f"    {line}" for line in made]
    builder.append(lines)


def _changed(called: str, changes: Sequence[str]) -> list[str]:
    return [f"{called}{change}" for change in changes]


def _changes(said: float | str | bool, parameter: nn.Parameter) -> Iterator[str]:
    """Yield what follows the name of a parameter: ``.fill_(-2.0)``, ``.mul_(0.1)``."""
    if said == "zero":
        yield ".zero_()"
    elif isinstance(said, str):
        for entries, value in read_openings(said):
            for part in entries.split(","):
                yield f"{_part(part, parameter)}.fill_({spelt(value, 6)})"
    else:
        yield f".mul_({spelt(float(said), 6)})"


def _part(entries: str, parameter: nn.Parameter) -> str:
    """Return the code that takes a part of a bias: all of it, one of its equal parts, a slice."""
    start, stop = (int(one) for one in entries.split(":"))
    total, width = parameter.numel(), stop - start
    if width == total:
        return ""
    if parameter.ndim != 1:
        raise NoSafeEditError("only some entries are meant of a bias that is no vector")
    if total % width == 0 and start % width == 0 and total // width <= _MOST_PARTS:
        return f".chunk({total // width})[{start // width}]"
    return f"[{start}:{stop}]"


def _of_cell(work: Work, builder: Builder, place: str, said: str) -> list[str]:
    """Return the lines that set the memory's bias of a layer or cell of torch.nn.

    Raises:
        NoSafeEditError: If another gate, or only a part of the layer, is meant.
    """
    path, _, _ = place.rpartition(".")
    module = work.model.get_submodule(path)
    own = [name for name, _ in module.named_parameters() if name.startswith("bias_ih")]
    openings = list(read_openings(said))
    if type(module) not in _GATES or len(own) > 1 or [one for one, _ in openings] != [_MEMORY]:
        raise NoSafeEditError(f"only some gates of {path or 'the network'} are set")
    called = indexed(builder.network, path, work.model) if path else builder.network
    return gate_lines(called, _GATES[type(module)], openings[0][1])
