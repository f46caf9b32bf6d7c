"""How the remedies are written into source, one kind of edit a file."""

from collections.abc import Callable
from typing import Final

from unvanish.treat.patch.rewriters import activation, memory, normalisation, optimiser, path, start
from unvanish.treat.patch.work import Work

REWRITERS: Final[dict[str, Callable[[Work], None]]] = {
    name: module.rewrite
    for module in (activation, memory, normalisation, optimiser, path, start)
    for name in module.REMEDIES
}
"""Name of a remedy to what writes it; a remedy that is not here is given as a snippet."""
