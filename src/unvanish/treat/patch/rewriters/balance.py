"""Write the factor of a term of the loss into the line that computes it."""

from __future__ import annotations

import ast
from typing import Final

import torch

from unvanish.core.records import Site
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"loss-balancing"})


def rewrite(work: Work) -> None:
    """Multiply the call that gives the term, where one call in its line does.

    Raises:
        NoSafeEditError: If several do, or none.
    """
    settings = work.prescription.settings
    recording = work.recording
    site = recording.sites[recording.terms[int(settings["term"])].site]
    source = work.source(site.source)
    call = _call(source, site)
    text = f"{spelt(float(settings['factor']))} * {source.segment(call)}"
    holder = source.parent(call)
    is_sum = isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.Add | ast.Sub | ast.Mult)
    binds = isinstance(holder, ast.Attribute | ast.Subscript | ast.BinOp) and not is_sum
    source.replace(call, f"({text})" if binds else text)


def _call(source: Source, site: Site) -> ast.Call:
    """Return the call of a loss function in its line, by its own name or through a criterion."""
    assert site.source is not None
    calls = source.nodes(ast.Call, site.source.line)
    function = site.function or site.op
    found = [one for one in calls if source.meaning(one.func).rpartition(".")[2] == function]
    if not found and hasattr(torch.nn.functional, function):
        found = [one for one in calls if len(one.args) + len(one.keywords) > 1]
    if len(found) != 1:
        raise NoSafeEditError(f"{site.source} does not say which call is the term")
    return found[0]
