"""From a TARGET to a `Recipe`: import, find, build, ask for a batch, check every part."""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Sequence
from contextlib import ExitStack
from weakref import WeakKeyDictionary

import torch
from torch import nn

from unvanish.core.errors import BatchError, TargetError, UnvanishError
from unvanish.recipe.address import Address, import_target, parse
from unvanish.recipe.batches import Batches, checked_batch, moved
from unvanish.recipe.building import BuildLines, copy_lines, recording_builds
from unvanish.recipe.finding import Parts, find, line_of, required_arguments
from unvanish.recipe.inference import invent_batch
from unvanish.recipe.record import Maker, Recipe
from unvanish.recipe.seeding import seeded
from unvanish.recipe.suggest import nearest
from unvanish.recipe.usercode import Foreign, reported, surroundings

_AUTOCAST = ("bfloat16", "float16")


def load(
    target: str,
    *,
    seed: int,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    device: str | None = None,
    batch: object = None,
) -> Recipe:
    """Import a TARGET, build its network and collect the rest of its recipe.

    The code at the top level of the file runs, as with every import; what stands under
    ``if __name__ == "__main__"`` does not. A script that trains at its top level trains.

    Args:
        target: ``file.py[:name]``, ``package.module[:name]`` or ``zoo:NAME``.
        seed: Seeds torch, numpy and random before the import and before every part.
        input_shape: Shape of one sample, for a target without a batch.
        classes: Number of classes, for a target without a batch.
        device: Where to move network and batches; None leaves them where they are made.
        batch: Used in place of the target's own; None takes that, or makes one.

    Returns:
        The recipe, with a batch that exists. Whatever is missing or does not fit raises an
        `UnvanishError` that says which line to write.
    """
    place = checked_device(device)
    address = parse(target)
    lines: BuildLines = WeakKeyDictionary()
    with seeded(seed), recording_builds(lines):
        parts = find(import_target(address), address)
    make = _maker(parts, address, lines, place)
    model = make(seed)
    rest = _Rest(parts, address, seed, place)
    own_batch, data = rest.batches() if batch is None else (batch, rest.data())
    inferred = parts.inferred
    if own_batch is None:
        with seeded(seed), surroundings(address.folders):
            invented = invent_batch(
                model, input_shape=input_shape, classes=classes, target=target, place=address.place
            )
        own_batch, inferred = moved(invented.batch, place), inferred + invented.inferred
    elif input_shape is not None or classes is not None:
        raise BatchError(
            f"{target} brings its own batch, and --input-shape or --classes would be ignored",
            help=f"unvanish check {target}",
        )
    return Recipe(
        target=target,
        seed=seed,
        model=model,
        batch=own_batch,
        data=data,
        loss=rest.loss(),
        optimizer=rest.optimizer(),
        metric=rest.function("metric", "def metric(model): return accuracy"),
        goal=rest.number("GOAL"),
        higher_is_better=rest.flag("HIGHER_IS_BETTER", default=True),
        clip_grad_norm=rest.number("CLIP_GRAD_NORM", positive=True),
        autocast=rest.autocast(),
        inferred=inferred,
        built=lines,
        folders=address.folders,
        make=make,
    )


def checked_device(device: str | None) -> torch.device | None:
    """Return a device that exists on this machine.

    Args:
        device: As on the command line, or None.

    Returns:
        The device, or None where none was given.

    Raises:
        TargetError: If torch does not know it, or this machine does not have it.
    """
    if device is None:
        return None
    known = ("cpu", "cuda", "mps", "xpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        close = nearest(device, known)
        guess = "cuda" if device.casefold().startswith(("gpu", "nvidia")) else (close or ["cpu"])[0]
        raise TargetError(f"there is no device {device!r}", help=f"--device {guess}") from None
    if place.type == "cpu":
        return place
    backend = getattr(torch, place.type, None)
    count = backend.device_count() if backend is not None and backend.is_available() else 0
    if count == 0:
        why = ""
        if place.type == "cuda" and not torch.backends.cuda.is_built():
            why = ", and this torch is built without CUDA"
        raise TargetError(
            f"{place.type} is not available on this machine{why}", help="--device cpu"
        )
    if (place.index or 0) >= count:
        raise TargetError(
            f"there is no {device}: this machine has {count} {place.type} device"
            f"{'s' if count > 1 else ''}",
            help=f"--device {place.type}:{count - 1}",
        )
    return place


def _seeding(function: Foreign, seed: int) -> Foreign:
    """Bind the ``seed`` keyword where a function has one."""
    try:
        takes_seed = "seed" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_seed = False
    return functools.partial(function, seed=seed) if takes_seed else function


def _maker(parts: Parts, address: Address, lines: BuildLines, device: torch.device | None) -> Maker:
    thing, name = parts.model, parts.model_name
    if isinstance(thing, nn.Module):
        finished: nn.Module = thing
        taken: list[nn.Module] = []

        def copied(seed: int) -> nn.Module:  # noqa: ARG001 (a finished module has its weights)
            if not taken:
                taken.append(finished.to(device) if device is not None else finished)
                return taken[0]
            new = copy.deepcopy(finished)
            copy_lines(lines, finished, new)
            return new

        return copied
    if not callable(thing):
        raise TargetError(
            f"{name} is {type(thing).__name__}, not a network and nothing that makes one",
            where=address.text,
            help="def model(): return Net()",
        )
    needed = required_arguments(thing)
    if needed:
        raise _needs_arguments(name, needed, address, thing)

    def made(seed: int) -> nn.Module:
        with ExitStack() as stack:
            stack.enter_context(surroundings(address.folders))
            stack.enter_context(seeded(seed))
            stack.enter_context(recording_builds(lines))
            stack.enter_context(reported(f"{name}()"))
            model = _seeding(thing, seed)()
            if isinstance(model, nn.Module) and device is not None:
                model = model.to(device)
        if not isinstance(model, nn.Module):
            raise _no_module(name, model, address, thing)
        return model

    return made


def _needs_arguments(name: str, needed: list[str], address: Address, thing: Foreign) -> TargetError:
    call = f"{name}({', '.join(f'{n}=...' for n in needed)})"
    count = len(needed)
    made = "model" if name != "model" else "build_model"
    again = address.place if made == "model" else address.named(made)
    return TargetError(
        f"{name} needs {count} argument{'s' if count > 1 else ''} that cannot be guessed: "
        f"{', '.join(needed)}",
        where=line_of(thing),
        help=f"write in {address.place}: def {made}(): return {call}\n"
        f"  then: unvanish check {again}",
    )


def _no_module(name: str, model: Foreign, address: Address, thing: Foreign) -> UnvanishError:
    help = f"let {name} return the network"
    if isinstance(model, tuple | list | dict):
        items = list(model.items() if isinstance(model, dict) else enumerate(model))
        key = next((k for k, part in items if isinstance(part, nn.Module)), None)
        if key is not None:
            made = "model" if name != "model" else "network"
            again = address.place if made == "model" else address.named(made)
            help = (
                f"write in {address.place}: def {made}(): return {name}()[{key!r}]\n"
                f"  then: unvanish check {again}"
            )
    what = "nothing" if model is None else f"a {type(model).__name__}"
    return TargetError(
        f"{name}() returned {what}, not an nn.Module", where=line_of(thing), help=help
    )


class _Rest:
    """The parts of a recipe beside the model, each checked when it is taken."""

    def __init__(
        self, parts: Parts, address: Address, seed: int, device: torch.device | None
    ) -> None:
        self._rest = parts.rest
        self._owner = parts.owner
        self._address = address
        self._seed = seed
        self._device = device

    def data(self) -> Batches | None:
        """Return the batches of ``data``; None where there is none."""
        data = self._rest.get("data")
        if data is None:
            return None
        return Batches(
            self._called("data", data),
            origin="data()" if callable(data) else "data",
            where=line_of(data),
            folders=self._address.folders,
            device=self._device,
        )

    def batches(self) -> tuple[Foreign, Foreign]:
        """Return the first batch and the further ones; None for what is missing."""
        batch = self._rest.get("batch")
        batches = self.data()
        if batch is not None:
            origin = "batch()" if callable(batch) else "batch"
            first = checked_batch(self._called("batch", batch), origin, line_of(batch))
            return moved(first, self._device), batches
        if batches is None:
            return None, None
        with seeded(self._seed):
            return batches.first, batches.after_first()

    def loss(self) -> Foreign:
        """Return the loss: a name, a criterion, or a function of output and target."""
        loss = self._rest.get("loss")
        if loss is None or isinstance(loss, str):
            return loss
        if isinstance(loss, nn.Module):
            return loss.to(self._device) if self._device is not None else loss
        if inspect.isclass(loss) and issubclass(loss, nn.Module) and not required_arguments(loss):
            return loss()
        line = "def loss(output, target): return torch.nn.functional.cross_entropy(output, target)"
        return self.function("loss", line)

    def optimizer(self) -> Foreign:
        """Return the optimiser, or what makes it from the network."""
        optimizer = self._rest.get("optimizer")
        line = "def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.1)"
        if optimizer is None or isinstance(optimizer, torch.optim.Optimizer):
            return optimizer
        if inspect.isclass(optimizer):
            raise self._wrong("optimizer", f"the class {optimizer.__name__}", line)
        make = self.function("optimizer", line)
        folders = self._address.folders

        def reporting(model: nn.Module) -> Foreign:
            with surroundings(folders), reported("optimizer(model)"):
                return make(model)

        return reporting

    def function(self, name: str, line: str) -> Foreign:
        """Return a part that has to be callable, with its seed bound."""
        part = self._rest.get(name)
        if part is not None and not callable(part):
            raise self._wrong(name, f"{type(part).__name__} {part!r:.40}", line)
        return None if part is None else _seeding(part, self._seed)

    def number(self, name: str, *, positive: bool = False) -> float | None:
        """Return a constant that has to be a finite number."""
        part = self._rest.get(name)
        if part is None:
            return None
        is_number = isinstance(part, int | float) and not isinstance(part, bool)
        if not is_number or not math.isfinite(part) or (positive and part <= 0):
            kind = "a positive number" if positive else "a number"
            raise self._wrong(name, f"{part!r:.40}, not {kind}", f"{name} = 0.9")
        return float(part)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a constant that has to be True or False."""
        part = self._rest.get(name, default)
        if not isinstance(part, bool):
            raise self._wrong(name, f"{part!r:.40}, not True or False", f"{name} = True")
        return part

    def autocast(self) -> str:
        """Return the type of the autocast region as a word."""
        part = self._rest.get("AUTOCAST", "")
        word = str(part).removeprefix("torch.")
        if word and word not in _AUTOCAST:
            raise self._wrong("AUTOCAST", f"{part!r:.40}", f'AUTOCAST = "{_AUTOCAST[0]}"')
        return word

    def _called(self, name: str, part: Foreign) -> Foreign:
        if not callable(part):
            return part
        needed = required_arguments(part)
        if needed:
            raise BatchError(
                f"{name}() needs arguments: {', '.join(needed)}",
                where=line_of(part),
                help=f"def {name}(): ...   or, with the seed:   def {name}(seed): ...",
            )
        with ExitStack() as stack:
            stack.enter_context(surroundings(self._address.folders))
            stack.enter_context(seeded(self._seed))
            stack.enter_context(reported(f"{name}()", kind=BatchError))
            return _seeding(part, self._seed)()

    def _wrong(self, name: str, what: str, line: str) -> TargetError:
        where = line_of(self._rest[name]) or self._owner
        return TargetError(f"{name} of the recipe is {what}", where=where, help=line)
