"""Data by name: digits, MNIST in its own format, tables, arrays, or a function of the user's."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.errors import BatchError, UnvanishError
from unvanish.prove.sources.files import (
    Samples,
    read_csv,
    read_digits,
    read_mnist,
    read_npz,
)
from unvanish.prove.sources.fitting import fitted
from unvanish.recipe.batches import Batches
from unvanish.recipe.seeding import seeded
from unvanish.recipe.suggest import nearest
from unvanish.recipe.usercode import reported, surroundings

_KINDS: Final[dict[str, Callable[[Path], Samples]]] = {
    "mnist-idx": read_mnist,
    "csv": read_csv,
    "npz": read_npz,
}
_FORMS: Final = (
    "--data digits, --data mnist-idx:FOLDER, --data csv:FILE, --data npz:FILE or "
    "--data module:function"
)
_SIZE: Final = 128
_SEED: Final = 0


class NamedData(Iterable[Any]):
    """Batches of named data, shuffled once, the same on every pass.

    Args:
        samples: Inputs and targets as a network takes them.
        device: Where each batch is put.
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        order = torch.randperm(len(samples.inputs), generator=torch.Generator().manual_seed(_SEED))
        self._inputs, self._targets = samples.inputs[order], samples.targets[order]
        self._device = device
        self.notes = samples.notes
        """What was assumed and changed, one sentence each."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self._inputs)
        size = min(_SIZE, max(1, -(-count // 8)))
        for rows in torch.arange(count).split(size):
            yield self._inputs[rows].to(self._device), self._targets[rows].to(self._device)


def named_data(
    spec: str, model: nn.Module, loss: Callable[..., Any] | str | None = None
) -> Iterable[Any]:
    """Return the batches that a name on the command line stands for.

    Pixels are brought into [0, 1]. Columns of a table, and arrays of real numbers, are brought
    to mean 0 and variance 1 over all samples, as is a target of real numbers; that uses the
    held-out samples' mean and variance too, which no trial between arms can gain from. Integers
    with few values are classes, counted from 0.

    Args:
        spec: ``digits``, ``mnist-idx:PATH``, ``csv:PATH``, ``npz:PATH`` or ``module:function``;
            a space may stand for the first colon.
        model: The network the data are for; tried on a copy to find the shape it takes.
        loss: Its loss, where the type of the target hangs on it.

    Returns:
        Batches of ``(inputs, target)``, or what the function returned, drawn once; with
        ``notes`` where something was assumed.

    Raises:
        UnvanishError: If there is no such data, or the network does not take it.
    """
    text = spec.strip()
    kind, sign, rest = text.partition(":")
    words = text.split(None, 1)
    if words and words[0] in _KINDS:
        kind, sign, rest = words[0], ":", words[1] if len(words) == 2 else ""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if text == "digits":
        return NamedData(fitted(read_digits(), model, loss), device)
    if kind in _KINDS and sign:
        if not rest.strip():
            raise UnvanishError(f"--data {kind} needs a path", help=f"--data {kind}:PATH")
        samples = _KINDS[kind](Path(rest.strip()).expanduser())
        return NamedData(fitted(samples, model, loss), device)
    if sign and rest.isidentifier():
        return _from_function(kind, rest, device)
    close = nearest(kind, ["digits", *_KINDS])
    raise UnvanishError(
        f"there is no data named {spec!r}",
        help=f"--data {close[0]}{':PATH' if close[0] in _KINDS else ''}" if close else _FORMS,
    )


def _from_function(module: str, name: str, device: torch.device) -> Iterable[Any]:
    """Return the batches that a function of the user's gives."""
    origin = f"{module}:{name}"
    folders = (str(Path(module).resolve().parent if module.endswith(".py") else Path.cwd()),)
    with surroundings(folders), reported(f"importing {module}", help=_FORMS):
        found = _imported(module)
    function = getattr(found, name, None)
    if function is None:
        names = [n for n, value in vars(found).items() if callable(value)]
        close = nearest(name, names)
        raise UnvanishError(
            f"{module} has no {name!r}",
            help=f"--data {module}:{close[0]}" if close else f"write there: def {name}(): ...",
        )
    with surroundings(folders), seeded(_SEED), reported(f"{origin}()", kind=BatchError):
        is_maker = callable(function) and not isinstance(function, torch.utils.data.DataLoader)
        batches = function() if is_maker else function
    return Batches(batches, origin=origin, folders=folders, device=device)


def _imported(module: str) -> ModuleType:
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).expanduser()
    spec = importlib.util.spec_from_file_location(f"_unvanish_data_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UnvanishError(f"there is no file {module}", help=_FORMS)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
