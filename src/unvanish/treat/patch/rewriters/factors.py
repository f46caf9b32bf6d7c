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
    builder = builder_of(work)
    layers = loop.iter if loop is not None else None
    is_plain = (
        loop is not None
        and isinstance(layers, ast.Attribute)
        and isinstance(loop.target, ast.Name)
        and builder.source is source
        and not isinstance(builder.last, ast.Return)
    )
    if not is_plain or loop is None or not isinstance(layers, ast.Attribute):
        raise NoSafeEditError("every block needs a factor of its own, and no loop counts them")
    factor = free_name(source, statement, "scale", "factor", "alpha")
    held = source.segment(layers)
    factors = f"{held.rpartition('.')[0]}.{factor}s"
    parameters = source.spell("torch.nn.ParameterList")
    made = kind.parameter(source, str(kind.channels))
    counted = f"{held}[1:]" if behind_first else held
    builder.append([f"{factors} = {parameters}({made} for _ in {counted})"])
    if behind_first:
        number = free_name(source, statement, "number", "position", "place")
        source.prefix(loop.target, f"{number}, ")
        source.replace(layers, f"enumerate({held})")
        return f"{factors}[{number} - 1]"
    source.insert_after(loop.target, f", {factor}")
    source.replace(layers, f"zip({held}, {factors})")
    return factor
