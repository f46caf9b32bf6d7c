"""Twins of a network that differ from it in depth alone, and the checks that they do.

A network is resized on the evidence of two passes: its blocks have to run one behind the other,
and the twin has to take the same batch, give answers of the same shape, and use every parameter
that it has. Code that counts its blocks by itself, as ``for i in range(self.layers)``, is helped
by changing that number with them; what indexes a block that is gone is refused.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.copies import copied
from unvanish.prove.stacks import Counts, Repeats, getattr_path, repeats, resized
from unvanish.recipe.seeding import seeded

FACTORS: Final = (0.25, 0.5)
"""Shares of the depth that a network is compared at."""
NONE_FOUND: Final = "no repeated blocks that run one behind the other were found"
HELP: Final = "self.layers = nn.ModuleList(Block() for _ in range(depth))"
"""How a network is written whose depth can be changed."""
_COUNTS: Final = re.compile(r"layer|depth|block|num|stage|hidden|^n_?", re.IGNORECASE)
_OTHER: Final = 7_919
"""Distance of the seeds of added blocks."""


def twins(
    model: nn.Module,
    factors: Sequence[float] = FACTORS,
    *,
    batch: Any,
    make: Callable[[int], nn.Module] | None = None,
    seed: int = 0,
) -> list[tuple[str, Callable[[], nn.Module]]]:
    """Return networks like this one that are shallower or deeper.

    Args:
        model: The network; it is left as it is.
        factors: What the number of blocks is multiplied by, each above 0 and not 1.
        batch: What it is run on to see that a twin works.
        make: Builds the network anew from a seed; needed for factors above 1, since added blocks
            need initial weights of their own.
        seed: Seed of the pass, and of added blocks.

    Returns:
        Name and builder of each, such as ``"12 of 48 blocks"``. Factors that come to the same
        number of blocks, or to that of the network itself, are told once or not at all.

    Raises:
        UnvanishError: If the network has no repeated blocks, or does not work without some.
    """
    made = make if make is not None else _copies(model)
    runs = chained(copied(model), batch, seed)
    whole, seen = blocks_of(runs), {blocks_of(runs)}
    found: list[tuple[str, Callable[[], nn.Module]]] = []
    for factor in factors:
        twin = copied(model)
        count = deepen(twin, factor, make=made, batch=batch, seed=seed)
        if count in seen:
            continue
        seen.add(count)

        name = f"{count} of {whole} blocks" if factor < 1 else f"{count} blocks"
        found.append((name, partial(_twin, model, factor, make=made, batch=batch, seed=seed)))
    return found


def _twin(
    model: nn.Module, factor: float, *, make: Callable[[int], nn.Module], batch: Any, seed: int
) -> nn.Module:
    built: nn.Module = copied(model)
    deepen(built, factor, make=make, batch=batch, seed=seed)
    return built


def deepen(
    model: nn.Module,
    factor: float,
    *,
    make: Callable[[int], nn.Module],
    batch: Any,
    seed: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
) -> int:
    """Multiply the number of blocks of a network, in place.

    Args:
        model: The network, before its first step.
        factor: Above 0. Every run of blocks keeps at least one.
        make: Builds the network anew from a seed.
        batch: What it is run on to see that the result works.
        seed: Seed of the pass, and of added blocks.
        optimizer: Of this network; follows it.

    Returns:
        The number of blocks that the network has now.

    Raises:
        UnvanishError: If the network has no repeated blocks, or does not work with another
            number of them.
    """
    if not factor > 0:
        raise UnvanishError(
            f"a depth cannot be multiplied by {factor:g}", help="--factors 0.25,0.5"
        )

    def donor(lap: int) -> nn.Module:
        return make(seed + _OTHER * lap).train(model.training)

    runs = chained(copied(model), batch, seed)
    first = ""
    for counts, is_recounted in _plans(runs, factor):
        trial = copied(model)
        try:
            _apply(trial, runs, counts, donor, is_recounted=is_recounted)
            fault = _fault(copied(model), trial, batch, seed)
        except UnvanishError:
            raise
        except Exception as error:  # whatever the user's code says to fewer blocks
            fault = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        if not fault:
            _apply(model, runs, counts, donor, is_recounted=is_recounted, optimizer=optimizer)
            return sum(counts)
        first = first or fault
    raise UnvanishError(
        f"the network does not work with {factor:g} times its blocks: {first}",
        where=", ".join(run.told(model).name for run in runs),
        help="for layer in self.layers: x = layer(x)   # no block by its number",
    )


def chained(model: nn.Module, batch: Any, seed: int = 0) -> tuple[Repeats, ...]:
    """Return the runs of blocks in which each block gets what the one before it gave.

    Heads, experts and other branches side by side are built alike as well, and are no depth.

    Args:
        model: The network; a pass changes its buffers.
        batch: What it is run on.
        seed: Seed of the pass.

    Raises:
        UnvanishError: If there is none.
    """
    runs = repeats(model)
    passed = _Passes(model, runs)
    try:
        with seeded(seed):
            _answers(model, batch)
    finally:
        passed.remove()
    kept = tuple(run for run in runs if passed.is_chain(run))
    if not kept:
        side = ", ".join(run.told(model).name for run in runs)
        what = f"{NONE_FOUND}; those of {side} run side by side" if side else NONE_FOUND
        raise UnvanishError(what, help=HELP)
    return kept


def blocks_of(runs: Sequence[Repeats]) -> int:
    """Return how many blocks some runs have together."""
    return sum(run.count for run in runs)


class _Passes:
    """What every block got and gave in one pass."""

    def __init__(self, model: nn.Module, runs: Sequence[Repeats]) -> None:
        self._model = model
        self._got: dict[int, list[Any]] = {}
        self._gave: dict[int, list[Any]] = {}
        entries = {
            id(m): m for run in runs for place in range(run.count) for m in run.block(model, place)
        }
        self._hooks = [
            m.register_forward_pre_hook(self._before, with_kwargs=True) for m in entries.values()
        ]
        self._hooks += [m.register_forward_hook(self._after) for m in entries.values()]

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._got.setdefault(id(module), _nodes((args, kwargs)))

    def _after(self, module: nn.Module, _args: Any, output: Any) -> None:
        self._gave.setdefault(id(module), _nodes(output))

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def is_chain(self, run: Repeats) -> bool:
        """Tell whether what a block gets depends on what the one before it gave."""
        blocks = [run.block(self._model, place) for place in range(run.count)]
        if any(id(module) not in self._gave for block in blocks for module in block):
            return False
        return all(
            _reaches(
                [node for module in after for node in self._got[id(module)]],
                {node for module in before for node in self._gave[id(module)]},
            )
            for before, after in itertools.pairwise(blocks)
            if before[0] is not after[0]
        )


def _nodes(thing: Any) -> list[Any]:
    return [tensor.grad_fn for tensor in _tensors(thing) if tensor.grad_fn is not None]


def _tensors(thing: Any) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, dict):
        for part in thing.values():
            yield from _tensors(part)
    elif isinstance(thing, tuple | list):
        for part in thing:
            yield from _tensors(part)


def _reaches(starts: Sequence[Any], wanted: set[Any]) -> bool:
    """Tell whether the graph of a backward pass leads from some nodes to others."""
    todo, seen = list(starts), set(starts)
    while todo:
        node = todo.pop()
        if node in wanted:
            return True
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                todo.append(following)
    return False


def _plans(runs: Sequence[Repeats], factor: float) -> Iterator[tuple[Counts, bool]]:
    """Yield numbers of blocks to try: in proportion, and as many more or fewer in every run."""
    shares = tuple(max(1, int(factor * run.count + 0.5)) for run in runs)
    change = min(
        (count - run.count for count, run in zip(shares, runs, strict=True)),
        key=abs,
    )
    alike = tuple(max(1, run.count + change) for run in runs)
    for counts in dict.fromkeys((shares, alike)):
        yield counts, False
        yield counts, True


def _apply(
    model: nn.Module,
    runs: Sequence[Repeats],
    counts: Counts,
    donor: Callable[[int], nn.Module],
    *,
    is_recounted: bool,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    if is_recounted:
        for run, count in zip(runs, counts, strict=True):
            _recount(model, run, count)
    resized(model, runs, counts, donor=donor, optimizer=optimizer)


def _recount(model: nn.Module, run: Repeats, count: int) -> None:
    """Change the numbers by which a module counts the entries of its lists."""
    for rail in run.rails:
        holder = getattr_path(model, rail.rpartition(".")[0])
        sizes = {run.count, len(getattr_path(model, rail)._modules)}
        for name, value in list(vars(holder).items()):
            if type(value) is int and value in sizes and _COUNTS.search(name):
                setattr(holder, name, value + (count - run.count) * run.period)


def _fault(original: nn.Module, twin: nn.Module, batch: Any, seed: int) -> str:
    """Return what a twin does otherwise than its original; empty where nothing."""
    results = []
    for model in (original, twin):
        with seeded(seed):
            answers = _answers(model, batch)
        shapes = [tuple(answer.shape) for answer in answers]
        results.append((shapes, _unused(model, answers)))
    (wanted, idle), (shapes, unused) = results
    if shapes != wanted:
        return f"its output has the shape {shapes[:1]}, not {wanted[:1]}"
    known = {_like(original, name) for name in idle}
    new = [name for name in unused if _like(twin, name) not in known]
    return f"{new[0]} is not used" if new else ""


def _like(model: nn.Module, name: str) -> tuple[object, ...]:
    """Return what a parameter has in common with those at the same place in other blocks."""
    path, _, leaf = name.rpartition(".")
    return type(model.get_submodule(path)), leaf


def _answers(model: nn.Module, batch: Any) -> list[Tensor]:
    split = as_batch(batch, model)
    with torch.enable_grad():
        output = call_model(model, split.inputs)
    if hasattr(output, "values") and not isinstance(output, dict | Tensor):
        output = tuple(output.values())
    return [t for t in _tensors(output) if t.is_floating_point() or t.is_complex()]


def _unused(model: nn.Module, answers: Sequence[Tensor]) -> list[str]:
    """Return the parameters that no answer depends on."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    ends = [answer for answer in answers if answer.requires_grad]
    if not ends or not named:
        return [name for name, _ in named]
    grads: Sequence[Tensor | None] = torch.autograd.grad(
        ends,
        [p for _, p in named],
        grad_outputs=[torch.ones_like(end) for end in ends],
        allow_unused=True,
    )
    return [name for (name, _), grad in zip(named, grads, strict=True) if grad is None]


def _copies(model: nn.Module) -> Callable[[int], nn.Module]:
    def copy(_seed: int) -> nn.Module:
        made: nn.Module = copied(model)
        return made

    return copy
