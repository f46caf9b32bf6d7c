"""Write a loss that takes scores, and take the function before it out of the network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from unvanish.treat.patch.optimisers import files_of
from unvanish.treat.patch.rewriters.ending import write_end
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"logits-loss"})

_FUNCTIONS: Final = frozenset({"mse_loss", "l1_loss", "binary_cross_entropy"})
_CLASSES: Final = frozenset({"MSELoss", "L1Loss", "BCELoss"})
_CRITERIA: Final = {
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "cross_entropy": "CrossEntropyLoss",
}


def rewrite(work: Work) -> None:
    """Write the loss where the files of the network name it, once, and the end of the network.

    Raises:
        NoSafeEditError: If the loss is named nowhere, or in several places.
    """
    settings = work.prescription.settings
    function, loss = str(settings["function"]), str(settings["loss"])
    if not work.prescription.places:
        raise NoSafeEditError("the loss applies the sigmoid by itself, in a line of your own")
    found = [(source, node) for source in files_of(work) for node in _named(source)]
    if len(found) != 1:
        raise NoSafeEditError(f"a loss of probabilities is named in {len(found) or 'no'} places")
    source, node = found[0]
    if isinstance(node, ast.Constant):
        quote = source.segment(node)[0]
        source.replace(node, f"{quote}{loss}{quote}")
    elif source.meaning(node).rpartition(".")[2] in _CLASSES:
        source.replace(node, source.spell(f"torch.nn.{_CRITERIA[loss]}"))
    else:
        source.replace(node, source.spell(f"torch.nn.functional.{loss}"))
    write_end(work, function=function, instead="none", axis=int(settings["axis"]))


def _named(source: Source) -> Iterator[ast.expr]:
    """Yield where a file names a loss of probabilities."""
    wanted = {f"torch.nn.functional.{name}" for name in _FUNCTIONS}
    wanted |= {f"torch.nn.{name}" for name in _CLASSES}
    for node in (*source.nodes(ast.Attribute), *source.nodes(ast.Name)):
        if not isinstance(source.parent(node), ast.Attribute) and source.meaning(node) in wanted:
            yield node
    for statement in source.tree.body:
        value = statement.value if isinstance(statement, ast.Assign) else None
        if isinstance(value, ast.Constant) and value.value in _FUNCTIONS:
            yield value
