"""Data that does not come with the batch but stands in the network: buffers and constants.

A graph network often holds the features and the adjacency of its nodes, and its batch only says
which rows of the output count. Then no layer computes with the batch, and what these layers do
compute with is the data.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from torch import Tensor, nn

from unvanish.core.operations import MATMUL_OPS
from unvanish.core.stack import Owner, owner_of
from unvanish.observe.data import named_in
from unvanish.observe.lineage import Call, Lineage, maker_of_piece, may_stand

_log = logging.getLogger(__name__)

_WEIGHING: Final = MATMUL_OPS - {"embedding", "embedding_bag"}
"""Calls that multiply what a batch holds with weights; a look-up only chooses among rows."""

_DEPTH: Final = 3
"""How deep tensors are looked for in containers and plain objects: ``graph.edges["adj"]``."""

_NO_HOLDERS: Final = (nn.Module, ModuleType, FunctionType, MethodType, type)


@dataclass(slots=True)
class _Flow:
    """What is behind the value of one call.

    Attributes:
        batch: Whether the inputs of the batch are; its target does not count.
        standing: ids of the standing tensors that are.
        parameters: Names of the parameters that no batch has met since.
    """

    batch: bool = False
    standing: frozenset[int] = frozenset()
    parameters: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Uses:
    """What the parameters of a network work on: the batch, or ids of standing tensors."""

    by_batch: set[str] = field(default_factory=set)
    by_standing: dict[str, frozenset[int]] = field(default_factory=dict)

    def end(self, flow: _Flow) -> None:
        """Note what the parameters work on that no batch met on the way to here."""
        for name in flow.parameters if flow.standing else ():
            self.by_standing[name] = self.by_standing.get(name, frozenset()) | flow.standing


def standing_tensors(model: nn.Module, names: Collection[str]) -> dict[str, Tensor]:
    """Return the tensors of some names that a network's own code can reach.

    Args:
        model: The network.
        names: As `data_that_stands` returns them; those that are there no more are left out.
    """
    found = _within_reach(model) if names else {}
    return {name: found[name] for name in sorted(names) if name in found}


def data_that_stands(lineage: Lineage, loss: Tensor, model: nn.Module) -> frozenset[str]:
    """Find the tensors that most layers work on where these do not work on the batch.

    A parameter works on the batch where one of its calls is given it, or where what is computed
    from the parameter is multiplied with it as a weight is: masked, generated and normalised
    weights do. Whatever picks rows of an output is no input of the layers before it.

    Args:
        lineage: The calls of a forward pass with nothing but the batch as data.
        loss: Its loss.
        model: The network.

    Returns:
        Names, see `standing_tensors`, of those tensors that are used so by more than half of the
        trainable parameters with at least two dimensions; nothing where it is fewer.
    """
    end = lineage.maker(loss)
    if end is None or not lineage.standing:
        return frozenset()
    upstream = lineage.upstream([end])
    wanted = {n for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1}
    wanted &= {name for index in upstream for name in lineage.calls[index].parameters}
    if not wanted:
        return frozenset()
    # Names cost a walk through all that the code can reach: first without, then with them.
    seen = lineage.standing.keys()
    if not _mostly_standing(_uses(lineage, upstream, seen), wanted):
        return frozenset()
    names = {
        id(tensor): name
        for name, tensor in reversed(_within_reach(model).items())
        if (reference := lineage.standing.get(id(tensor))) is not None and reference() is tensor
    }
    by_name = _uses(lineage, upstream, names)
    if not _mostly_standing(by_name, wanted):
        return frozenset()
    used = (ids for name, ids in by_name.by_standing.items() if name in wanted - by_name.by_batch)
    return frozenset(names[one] for one in frozenset().union(*used))


def said_of(names: Collection[str], model: nn.Module) -> str:
    """Say in one sentence which tensors were taken for data, and why.

    Args:
        names: As `data_that_stands` returns them.
        model: The network.
    """
    buffers = {f"self.{name}" for name, _ in model.named_buffers()}
    listed = [f"{n} (a buffer)" if n in buffers else f"{n} (a constant)" for n in sorted(names)]
    last = f"{', '.join(listed[:-1])} and {listed[-1]}" if listed[1:] else listed[0]
    return (
        f"most layers are not fed by the batch: {last} {'are' if listed[1:] else 'is'} taken for "
        "their data, and the batch chooses among the results"
    )


def sample_counts(tensors: Collection[Tensor]) -> tuple[int, ...]:
    """Return how many samples standing tensors hold: their first dimensions, in their order."""
    return tuple(next((n for n in tensor.shape if n > 1), 1) for tensor in tensors)


def _within_reach(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that a network's own code can reach and that may be data, by name.

    These are floating-point tensors of at least two dimensions that ask for no gradient: buffers
    and attributes of modules, and what the code of the user's ``forward`` finds outside of them,
    in its file or in the function around it. Something nested in lists, dictionaries or plain
    objects counts too.

    Args:
        model: The network.
    """
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        prefix = f"self.{path}." if path else "self."
        own = {key: value for key, value in vars(module).items() if not key.startswith("_")}
        for name, tensor in (*module._buffers.items(), *_nested(own)):
            if tensor is not None and may_stand(tensor):
                found.setdefault(prefix + name, tensor)
    seen: set[int] = set()
    for function in {id(f): f for module in model.modules() for f in _forwards(module)}.values():
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        scopes = [function.__globals__, {name: _inside(cell) for name, cell in cells}]
        for scope in scopes:
            if id(scope) not in seen:
                seen.add(id(scope))
                for name, tensor in _nested(scope):
                    found.setdefault(name, tensor)
    return found


def _mostly_standing(uses: _Uses, wanted: set[str]) -> bool:
    return 2 * len(wanted & uses.by_standing.keys() - uses.by_batch) > len(wanted)


def _uses(lineage: Lineage, upstream: Collection[int], known: Collection[int]) -> _Uses:
    """Follow every parameter from its calls to where the batch, or the loss, meets it."""
    flows: dict[int, _Flow] = {}
    uses = _Uses()
    for index in sorted(upstream):
        call = lineage.calls[index]
        parents = [flows[one] for one in call.parents if one in flows]
        flow = flows[index] = _entering(lineage, call, parents, known)
        if not flow.batch:
            continue
        uses.by_batch.update(call.parameters)
        for parent in parents:
            if parent.batch:
                continue
            if call.op in _WEIGHING:
                uses.by_batch |= parent.parameters
            else:
                uses.end(parent)
        flow.parameters, flow.standing = frozenset(), frozenset()
    uses.end(flows[max(upstream)])
    return uses


def _entering(
    lineage: Lineage, call: Call, parents: Collection[_Flow], known: Collection[int]
) -> _Flow:
    direct = {piece for piece in call.pieces if maker_of_piece(piece) is None}
    return _Flow(
        batch=bool(direct - lineage.targets) or any(flow.batch for flow in parents),
        standing=frozenset(one for one in call.standing if one in known).union(
            *(flow.standing for flow in parents)
        ),
        parameters=frozenset(call.parameters).union(*(flow.parameters for flow in parents)),
    )


def _forwards(module: nn.Module) -> Iterator[FunctionType]:
    """Yield the functions of the user's that compute what a module returns."""
    for kind in type(module).__mro__:
        for value in vars(kind).values():
            if isinstance(value, FunctionType) and _is_users(value.__code__.co_filename):
                yield value


def _inside(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that nothing was assigned to yet
        return None


def _nested(scope: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield what may be data of what a scope holds, with its name."""
    for name, value in list(scope.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, ModuleType) and _is_users(getattr(value, "__file__", None)):
            for inner, tensor in vars(value).items():
                if isinstance(tensor, Tensor) and may_stand(tensor):
                    yield f"{name}.{inner}", tensor
        if isinstance(value, _NO_HOLDERS):
            continue
        try:
            held = list(named_in(name, value, _DEPTH))
        except Exception:  # an object of the user's that does not like to be looked into
            _log.debug("%s was not looked into", name, exc_info=True)
            continue
        yield from ((inner, tensor) for inner, tensor in held if may_stand(tensor))


def _is_users(path: str | None) -> bool:
    return path is not None and owner_of(path) is Owner.USER
