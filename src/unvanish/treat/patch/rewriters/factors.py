"""Factors of residual branches as source text: a number, or a parameter for every branch."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from unvanish.treat.patch.builder import builder_of
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.shortcuts import Scale


@dataclass(frozen=True, slots=True)
class Kind:
    """What is added to the input of a block.

    Attributes:
        scale: The factor of the branch, or the value that a trained one starts with.
        centre: What is taken off the branch.
        channels: Length of a trained factor: 0 for one number, -1 for a factor that stays.
        axes: Axes behind the channels.
    """

    scale: float
    centre: float
    channels: int = -1
    axes: int = 0

    @property
    def is_trained(self) -> bool:
        """Whether the factor is a parameter."""
        return self.channels >= 0

    @classmethod
    def trained(cls, one: Scale, centre: float) -> Kind:
        """Return the kind of a trained factor.

        Args:
            one: The factor.
            centre: What is taken off the branch.
        """
        alpha = one.alpha
        channels, axes = (alpha.shape[0], alpha.ndim - 1) if alpha.ndim else (0, 0)
        return cls(float(alpha.detach().flatten()[0]), centre, channels, axes)

    def around(self, simple: bool, factor: str = "") -> tuple[str, str]:
        """Return what stands before and behind the branch.

        Args:
            simple: Whether the branch is a call or a name.
            factor: What a trained factor is called.
        """
        number = factor or ("" if self.scale == 1.0 else spelt(self.scale, 6))
        after = f" - {spelt(self.centre, 6)}" if self.centre else ""
        brackets = not simple or bool(number and after)
        before = f"{number} * " if number else ""
        return (f"{before}(", f"{after})") if brackets else (before, after)

    def branch(self, called: str, factor: str = "") -> str:
        """Return the branch as it is added."""
        before, after = self.around(simple=True, factor=factor)
        return f"{before}{called}{after}"

    def parameter(self, source: Source, channels: str) -> str:
        """Return the call that makes the trained factor."""
        shape = f"({channels}, {', '.join(['1'] * self.axes)})" if self.axes else f"({channels},)"
        if not self.channels:
            shape = "()"
        is_zero = self.scale == 0.0
        torch = source.spell(f"torch.{'zeros' if is_zero else 'full'}")
        start = "" if is_zero else f", {spelt(self.scale, 6)}"
        return f"{source.spell('torch.nn.Parameter')}({torch}({shape}{start}))"


def free_name(source: Source, statement: ast.AST, *names: str) -> str:
    """Return the first of some names that a function does not use."""
    function = source.around(statement, ast.FunctionDef) or source.tree
    taken = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    for name in names:
        if name not in taken:
            return name
    line: int = getattr(statement, "lineno", 0)
    raise NoSafeEditError(f"{', '.join(names)} all stand for something near line {line}")


def factor_of_loop(
    work: Work, source: Source, statement: ast.AST, kind: Kind, *, behind_first: bool = False
) -> str:
    """Give the loop over some layers a loop over their factors; return what one is called.

    Args:
        work: The remedy.
        source: The file of the loop.
        statement: A statement in it.
        kind: What a factor is.
        behind_first: Whether the first layer has none; the others are counted then.

    Raises:
        NoSafeEditError: If the layers are not run by a loop over an attribute.
    """
    loop = source.around(statement, ast.For)
    counter, layers = _counted(source, loop) if loop is not None else ("", None)
    builder = builder_of(work)
    is_plain = isinstance(layers, ast.Attribute) and builder.source is source
    if not is_plain or isinstance(builder.last, ast.Return) or loop is None or layers is None:
        raise NoSafeEditError("every block needs a factor of its own, and no loop counts them")
    factor = free_name(source, statement, "scale", "factor", "alpha")
    held = source.segment(layers)
    factors = f"{held.rpartition('.')[0]}.{factor}s"
    parameters = source.spell("torch.nn.ParameterList")
    made = kind.parameter(source, str(kind.channels))
    counted = f"{held}[1:]" if behind_first else held
    builder.append([f"{factors} = {parameters}({made} for _ in {counted})"])
    if counter:
        return f"{factors}[{counter} - 1]" if behind_first else f"{factors}[{counter}]"
    if behind_first:
        number = free_name(source, statement, "number", "position", "place")
        source.prefix(loop.target, f"{number}, ")
        source.replace(layers, f"enumerate({held})")
        return f"{factors}[{number} - 1]"
    source.insert_after(loop.target, f", {factor}")
    source.replace(layers, f"zip({held}, {factors})")
    return factor


def _counted(source: Source, loop: ast.For) -> tuple[str, ast.expr | None]:
    """Return what counts the turns of a loop over layers, if anything does, and the layers."""
    if isinstance(loop.target, ast.Name):
        return "", loop.iter
    if isinstance(loop.iter, ast.Call) and isinstance(loop.target, ast.Tuple):
        number = loop.target.elts[0]
        is_from_zero = len(loop.iter.args) == 1 and not loop.iter.keywords
        if source.meaning(loop.iter.func) == "enumerate" and is_from_zero:
            return (number.id, loop.iter.args[0]) if isinstance(number, ast.Name) else ("", None)
    return "", None
