"""Write what is done to the gradient before a step: in the training loop, or with the optimiser."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.treat.patch.builder import Builder
from unvanish.treat.patch.loops import Step, read_by, steps_of
from unvanish.treat.patch.optimisers import Maker, maker_of, number_of, spelt
from unvanish.treat.patch.rewriters.factors import free_name
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"clip-norm", "clip-value", "clip-layer", "warm-up"})

_OF_THE_NETWORK: Final = "configure_optimizers"
"""The method by which a network in Lightning's style makes its own optimiser."""

_CONSTANT: Final = "CLIP_GRAD_NORM"
"""What a recipe calls the largest gradient norm of its training loop."""


def rewrite(work: Work) -> None:
    """Write the clipping into the training loops of the file, or into the optimiser's factory.

    Raises:
        NoSafeEditError: If there is neither.
    """
    maker = maker_of(work)
    settings = work.prescription.settings
    if work.prescription.remedy == "warm-up":
        _warm_up(work, maker)
        return
    if work.prescription.remedy == "clip-norm":
        limit = float(settings["max_norm"])
        if _lower_constant(maker.source, limit):
            return
        steps = steps_of(maker)
        if steps:
            _write_loops(maker, steps, limit)
            return
        lines = [_call(maker, "clip_grad_norm_", "max_norm", limit)]
    elif work.prescription.remedy == "clip-value":
        lines = [_call(maker, "clip_grad_value_", "clip_value", float(settings["limit"]))]
    else:
        network = _network(maker)
        inner = _call(maker, "clip_grad_norm_", "max_norm", float(settings["max_norm"]))
        inner = inner.replace(f"{network}.parameters()", "parameter")
        lines = [f"for parameter in {network}.parameters():", f"    {inner}"]
    builder = _factory(maker)
    name = builder.network
    hook = ["", "def clip(*_):", *(f"    {line}" for line in lines), ""]
    builder.append([*hook, f"{name}.register_step_pre_hook(clip)"])


def _warm_up(work: Work, maker: Maker) -> None:
    settings = work.prescription.settings
    steps = int(settings["steps"])
    builder = _factory(maker)
    name = builder.network
    ramp = builder.source.spell("torch.optim.lr_scheduler.LinearLR")
    builder.append(
        [
            f"ramp = {ramp}({name}, start_factor={_share(settings['start'], steps)}, "
            f"total_iters={steps})",
            f"{name}.register_step_post_hook(lambda *_: ramp.step())",
        ]
    )


def _share(start: float | str | bool, steps: int) -> str:
    return f"1 / {steps}" if abs(float(start) * steps - 1.0) < 1e-9 else f"{float(start):.6g}"


def _call(maker: Maker, function: str, keyword: str, limit: float) -> str:
    utils = maker.source.spell(f"torch.nn.utils.{function}")
    return f"{utils}({_network(maker)}.parameters(), {keyword}={spelt(limit, 6)})"


def _factory(maker: Maker) -> Builder:
    """Return the end of the function that makes the optimiser.

    Raises:
        NoSafeEditError: If it is no function that ends by returning it.
    """
    function = maker.function
    last = function.body[-1] if isinstance(function, ast.FunctionDef) else None
    if not isinstance(last, ast.Return) or last.value is None:
        raise NoSafeEditError("the optimiser is not made in a function that returns it")
    if last.value is not maker.outer and not isinstance(last.value, ast.Name):
        return _among_others(maker, last)
    name = last.value.id if isinstance(last.value, ast.Name) else "optimizer"
    return Builder(maker.source, last, name)


def _among_others(maker: Maker, last: ast.Return) -> Builder:
    """Return where an optimiser has been made that is returned with others, or with a schedule.

    Raises:
        NoSafeEditError: If it cannot be given a name before.
    """
    source, made = maker.source, _statement_of(maker)
    if isinstance(made, ast.Assign) and made.value is maker.outer:
        target = made.targets[0]
        if len(made.targets) == 1 and isinstance(target, ast.Name):
            return Builder(source, made, target.id)
    holder = source.parent(maker.outer)
    while isinstance(holder, ast.Tuple | ast.List | ast.Dict):
        holder = source.parent(holder)
    if made is not last or holder is not last or not source.begins_line(last):
        raise NoSafeEditError(f"line {last.lineno} returns more than the optimiser")
    name = free_name(source, last, "optimizer", "made")
    source.add_before(last, [f"{name} = {source.segment(maker.outer)}"])
    source.replace(maker.outer, name)
    return Builder(source, last, name, load=last)


def _statement_of(maker: Maker) -> ast.stmt | None:
    """Return the statement that makes an optimiser, where it always runs."""
    statement = maker.source.around(maker.outer, ast.stmt)
    body = maker.function.body if isinstance(maker.function, ast.FunctionDef) else []
    return statement if statement in body else None


def _network(maker: Maker) -> str:
    """Return what the factory calls the network."""
    if isinstance(maker.function, ast.FunctionDef):
        names = [argument.arg for argument in maker.function.args.args]
        if maker.function.name == _OF_THE_NETWORK and len(names) == 1:
            return names[0]
        first = maker.outer.args[0] if maker.outer.args else None
        read = read_by(maker.outer) or (first.id if isinstance(first, ast.Name) else "")
        if read in names:
            return read
    raise NoSafeEditError("the factory of the optimiser is not given the network")


def _lower_constant(source: Source, limit: float) -> bool:
    """Lower the largest norm that the file itself names; False where it names none.

    Raises:
        NoSafeEditError: If it is no number, or low enough.
    """
    for statement in source.tree.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == _CONSTANT:
            assert isinstance(statement, ast.Assign)
            number = number_of(statement.value)
            if number is None or number <= limit:
                raise NoSafeEditError(f"{_CONSTANT} is {source.segment(statement.value)} already")
            source.replace(statement.value, spelt(limit, 6))
            return True
    return False


def _write_loops(maker: Maker, steps: list[Step], limit: float) -> None:
    source = maker.source
    clip = source.spell("torch.nn.utils.clip_grad_norm_")
    for step in steps:
        line = f"{clip}({step.network}.parameters(), max_norm={_CONSTANT})"
        if source.begins_line(step.statement):
            source.add_before(step.statement, [line])
        else:
            source.prefix(step.statement, f"{line}; ")
    top: ast.AST = maker.function if maker.function is not None else maker.call
    while source.parent(top) is not source.tree:
        above = source.parent(top)
        assert above is not None
        top = above
    assert isinstance(top, ast.stmt)
    gap = ["", ""] if isinstance(top, ast.FunctionDef | ast.ClassDef) else []
    source.add_before(top, [f"{_CONSTANT} = {spelt(limit, 6)}", *gap])
