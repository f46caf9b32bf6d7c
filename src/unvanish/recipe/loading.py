"""From a TARGET to a `Recipe`: import, find, build, ask for a batch, check every part."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from weakref import WeakKeyDictionary

import torch
from torch import nn

from unvanish.core.errors import BatchError, TargetError, UnvanishError
from unvanish.recipe.address import Address, import_target, parse
from unvanish.recipe.batches import moved
from unvanish.recipe.building import BuildLines, copy_lines, recording_builds
from unvanish.recipe.finding import Parts, find, required_arguments
from unvanish.recipe.inference import Invented, invent_batch
from unvanish.recipe.names import line_of
from unvanish.recipe.record import Maker, Recipe
from unvanish.recipe.rest import Rest, seeding
from unvanish.recipe.seeding import seeded
from unvanish.recipe.suggest import command, joined, nearest
from unvanish.recipe.usercode import Foreign, reported, surroundings


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
    shaped = input_shape is not None or classes is not None
    options = ["--input-shape", ",".join(map(str, input_shape))] if input_shape is not None else []
    options += ["--classes", str(classes)] if classes is not None else []
    place = checked_device(device, target, *options)
    address = parse(target)
    lines: BuildLines = WeakKeyDictionary()
    with seeded(seed), recording_builds(lines):
        parts = find(import_target(address), address)
    make = _maker(parts, address, lines, place)
    model = make(seed)
    rest = Rest(parts, address, seed, place, model)
    inferred = parts.inferred + _taken(parts, address, without=shaped or batch is not None)
    if batch is not None:
        own_batch, data = batch, None if parts.shared else rest.data()
    elif parts.shared and shaped:  # the options are about this network, the file may not be
        own_batch, data = None, None
    else:
        own_batch, data = rest.batches()
    is_invented = own_batch is None
    if is_invented:
        with seeded(seed), surroundings(address.folders):
            invented = _invented(model, parts, address, input_shape, classes)
        own_batch, inferred = moved(invented.batch, place), inferred + invented.inferred
    elif shaped:
        raise BatchError(
            f"{target} brings its own batch, and --input-shape or --classes would be ignored",
            help=command(target),
        )
    optimizer = rest.optimizer()
    inferred += rest.inferred
    return Recipe(
        target=target,
        seed=seed,
        model=model,
        batch=own_batch,
        data=data,
        more=rest.more() if data is None and not is_invented and batch is None else None,
        redraw=rest.data if data is not None else None,
        loss=rest.loss(),
        optimizer=optimizer,
        metric=rest.function("metric", "def metric(model): return accuracy"),
        goal=rest.number("GOAL"),
        higher_is_better=rest.flag("HIGHER_IS_BETTER", default=True),
        clip_grad_norm=rest.number("CLIP_GRAD_NORM", positive=True),
        autocast=rest.autocast(),
        steps=rest.steps(),
        inferred=inferred,
        is_invented=is_invented,
        is_finished=isinstance(parts.model, nn.Module),
        built=lines,
        folders=address.folders,
        make=make,
    )


def _taken(parts: Parts, address: Address, *, without: bool) -> tuple[str, ...]:
    """Say what a network that was named takes from its file."""
    names = [n for n in parts.shared if not (without and n in {"batch", "data"})]
    if not names:
        return ()
    return (f"{joined(names)} {'were' if len(names) > 1 else 'was'} taken from {address.place}",)


def _invented(
    model: nn.Module,
    parts: Parts,
    address: Address,
    input_shape: Sequence[int] | None,
    classes: int | None,
) -> Invented:
    loader = parts.loaders[0] if parts.loaders and address.is_users else ""
    try:
        invented = invent_batch(
            model,
            input_shape=input_shape,
            classes=classes,
            target=address.text,
            place=(parts.owner if parts.in_class else address.place) if address.is_users else "",
            method=parts.in_class,
        )
    except BatchError as error:
        if loader and error.help:
            error.help = f"write in {address.place}: data = {loader}"
        raise
    if not loader:
        return invented
    said = f"{loader} was not used; data = {loader} in {address.place} lets it be"
    return Invented(invented.batch, (*invented.inferred, said))


def checked_device(device: str | None, target: str, *options: str) -> torch.device | None:
    """Return a device that exists on this machine.

    Args:
        device: As on the command line, or None.
        target: The TARGET, for the literal help.
        options: What else is on the command line.

    Returns:
        The device, or None where none was given.

    Raises:
        TargetError: If torch does not know it, or this machine does not have it.
    """
    if device is None:
        return None
    known = ("cpu", "cuda", "mps", "xpu")

    def told(name: str) -> str:
        return command(target, *options, "--device", name)

    try:
        place = torch.device(device)
    except RuntimeError:
        close = nearest(device, known)
        guess = "cuda" if device.casefold().startswith(("gpu", "nvidia")) else (close or ["cpu"])[0]
        raise TargetError(f"there is no device {device!r}", help=told(guess)) from None
    if place.type == "cpu":
        return place
    backend = getattr(torch, place.type, None)
    count = backend.device_count() if backend is not None and backend.is_available() else 0
    if count == 0:
        why = ""
        if place.type == "cuda" and not torch.backends.cuda.is_built():
            why = ", and this torch is built without CUDA"
        raise TargetError(f"{place.type} is not available on this machine{why}", help=told("cpu"))
    if (place.index or 0) >= count:
        raise TargetError(
            f"there is no {device}: this machine has {count} {place.type} device"
            f"{'s' if count > 1 else ''}",
            help=told(f"{place.type}:{count - 1}"),
        )
    return place


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
            stack.enter_context(reported(f"{name}()", building=True))
            model = seeding(thing, seed)()
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
        where=line_of(thing) if address.is_users else "",
        help=f"write in {address.place}: def {made}(): return {call}\n  then: {command(again)}"
        if address.is_users
        else f"write in a file of your own, net.py:\n"
        f"  from {address.module} import {name.partition('.')[0]}\n"
        f"  def model(): return {call}\n  then: {command('net.py')}",
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
                f"  then: {command(again)}"
            )
    what = "nothing" if model is None else f"a {type(model).__name__}"
    return TargetError(
        f"{name}() returned {what}, not an nn.Module", where=line_of(thing), help=help
    )
