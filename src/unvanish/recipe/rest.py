"""The parts of a recipe beside the model: each is checked when it is taken."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

from unvanish.core.errors import BatchError, TargetError, UnvanishError
from unvanish.core.steppers import only_one, several
from unvanish.recipe.address import Address
from unvanish.recipe.batches import Batches, checked_batch, moved
from unvanish.recipe.finding import Parts, required_arguments
from unvanish.recipe.methods import own_optimizer
from unvanish.recipe.names import line_of
from unvanish.recipe.seeding import seeded
from unvanish.recipe.usercode import Foreign, reported, surroundings

_AUTOCAST: Final = ("bfloat16", "float16")


def seeding(function: Foreign, seed: int) -> Foreign:
    """Bind the ``seed`` keyword where a function has one."""
    try:
        takes_seed = "seed" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_seed = False
    return functools.partial(function, seed=seed) if takes_seed else function


def _again(draw: Callable[[int], object]) -> Iterator[object]:
    """Yield what a function draws, until it is as before or cannot be drawn."""
    with contextlib.suppress(UnvanishError):
        before = draw(0)
        for number in itertools.count(1):
            batch = draw(number)
            if _is_same(batch, before):
                return
            yield batch
            before = batch


def _is_same(one: object, other: object) -> bool:
    """Tell whether two batches hold the same numbers."""
    (ours, shape), (theirs, their_shape) = tree_flatten(one), tree_flatten(other)
    return shape == their_shape and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b
        for a, b in zip(ours, theirs, strict=True)
    )


def _takes_one(function: Foreign) -> bool:
    """Tell whether a function can be called with one argument."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _reads(function: Foreign, model: nn.Module) -> bool:
    """Tell whether a function mentions a network of its file by name."""
    code = getattr(function, "__code__", None)
    names = getattr(function, "__globals__", {})
    return code is not None and any(names.get(name) is model for name in code.co_names)


def _is_in_a_network(parameters: Sequence[torch.Tensor]) -> bool:
    """Tell whether a module that still exists holds any of the parameters."""
    wanted = {id(p) for p in parameters}
    return any(
        id(p) in wanted
        for thing in gc.get_objects()
        if issubclass(type(thing), nn.Module)  # isinstance would wake lazy modules
        for p in vars(thing).get("_parameters", {}).values()
    )


class Rest:
    """The parts of a recipe beside the model, each checked when it is taken."""

    def __init__(
        self,
        parts: Parts,
        address: Address,
        seed: int,
        device: torch.device | None,
        model: nn.Module,
    ) -> None:
        self.inferred: tuple[str, ...] = ()
        self._in_class = parts.in_class
        self._model = model
        self._is_finished = parts.model is model
        self._may_differ = bool(parts.shared) or not isinstance(parts.model, nn.Module)
        self._rest = parts.rest
        self._address = address
        self._seed = seed
        self._device = device

    def data(self, number: int = 0) -> Batches | None:
        """Return the batches of one pass over ``data``, the first or a later one.

        None where there is none.
        """
        data = self._rest.get("data")
        if data is None:
            return None
        return Batches(
            self._called("data", data, number),
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

    def more(self) -> Iterable[object] | None:
        """Return the batches that ``batch`` gives when it is called again."""
        batch = self._rest.get("batch")
        return Batches(_again(self._another), origin="batch()") if callable(batch) else None

    def _another(self, number: int) -> object:
        batch = self._rest["batch"]
        return moved(checked_batch(self._called("batch", batch, number), "batch()"), self._device)

    def loss(self) -> Foreign:
        """Return the loss: a name, a criterion, or a function of output and target."""
        loss = self._rest.get("loss")
        if loss is None or isinstance(loss, str):
            return loss
        if isinstance(loss, nn.Module):
            return loss.to(self._device) if self._device is not None else loss
        if inspect.isclass(loss) and issubclass(loss, nn.Module) and not required_arguments(loss):
            return loss()
        line = self._def(
            "loss(output, target)", "torch.nn.functional.cross_entropy(output, target)"
        )
        return self.function("loss", line)

    def optimizer(self) -> Foreign:
        """Return the optimiser, or what makes it from the network."""
        optimizer = self._rest.get("optimizer")
        line = self._def("optimizer(model)", "torch.optim.SGD(model.parameters(), lr=0.1)")
        optimizer = only_one(optimizer)
        if isinstance(optimizer, torch.optim.Optimizer):
            return self._fitted(optimizer)
        if isinstance(optimizer, list | tuple) and optimizer:
            raise several(f"optimizer of the recipe is {len(optimizer)} optimisers")
        if optimizer is None:
            return self._configured()
        if inspect.isclass(optimizer):
            raise self._wrong("optimizer", f"the class {optimizer.__name__}", line)
        make = self.function("optimizer", line)
        folders = self._address.folders
        help = "" if _takes_one(optimizer) else line

        @functools.wraps(optimizer)
        def reporting(model: nn.Module) -> Foreign:
            with surroundings(folders), reported("optimizer(model)", help=help):
                made = only_one(make(model))
            if isinstance(made, list | tuple) and made:
                said = f"optimizer(model) returned {len(made)} optimisers"
                raise several(said, line_of(optimizer))
            return made

        return reporting

    def _configured(self) -> Foreign:
        """Return the optimiser that the network configures itself, and say so."""
        with surroundings(self._address.folders), seeded(self._seed):
            optimizer, said = own_optimizer(self._model)
        self.inferred = (*self.inferred, said) if said else self.inferred
        return optimizer

    def _fitted(self, optimizer: torch.optim.Optimizer) -> Foreign:
        """Return an optimiser, or one like it where it steps another network than this.

        One that was meant for this network and missed it is returned as it is, to be found out.
        """
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not self._may_differ or any(id(p) in held for p in self._model.parameters()):
            return optimizer
        if self._is_finished and self._is_missed_by(optimizer):
            self.inferred = ("optimizer steps a copy of this network, and nothing of it",)
            return optimizer
        kind = type(optimizer)
        known = inspect.signature(kind).parameters
        first = optimizer.param_groups[0] if optimizer.param_groups else optimizer.defaults
        settings = {k: v for k, v in first.items() if k in known and k != "params"}
        self.inferred = (
            f"optimizer steps another network than this: a new {kind.__name__} "
            "with its settings was taken",
        )

        def like_it(model: nn.Module) -> torch.optim.Optimizer:
            wanted = [p for p in model.parameters() if p.requires_grad]
            return kind(wanted, **settings)

        return like_it

    def _is_missed_by(self, optimizer: torch.optim.Optimizer) -> bool:
        """Tell whether an optimiser was meant for this network, and was given its double.

        That is certain where the double is no part of any network any more, and where the two
        are the same number for number: one was copied from the other. A copy that is frozen,
        or that the loss or the batch reads, is a teacher or a target network, and another
        network of the same shapes a second player.
        """
        mine = list(self._model.parameters())
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if not mine or any(map(nn.parameter.is_lazy, mine)):
            return False
        if [(p.shape, p.dtype) for p in mine] != [(p.shape, p.dtype) for p in held]:
            return False
        if not self._model.training or not all(p.requires_grad for p in mine):
            return False
        if any(_reads(self._rest.get(name), self._model) for name in ("batch", "data", "loss")):
            return False
        is_copy = all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(mine, held, strict=True))
        return is_copy or not _is_in_a_network(held)

    def _def(self, head: str, body: str = "...") -> str:
        """Return the literal line that defines a part, as a method where it is one."""
        name, _, arguments = head.partition("(")
        if self._in_class:
            arguments = f"self, {arguments}" if arguments != ")" else "self)"
        return f"def {name}({arguments}: {'return ' if body != '...' else ''}{body}"

    def function(self, name: str, line: str) -> Foreign:
        """Return a part that has to be callable, with its seed bound."""
        part = self._rest.get(name)
        if part is not None and not callable(part):
            raise self._wrong(name, f"{type(part).__name__} {part!r:.40}", line)
        return None if part is None else seeding(part, self._seed)

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

    def steps(self) -> int | None:
        """Return how many steps a training run has, where the recipe says so.

        A constant of this name that is no number is the file's own affair.
        """
        if not isinstance(self._rest.get("STEPS"), int | float):
            return None
        number = self.number("STEPS", positive=True)
        if number is not None and number != int(number):
            raise self._wrong("STEPS", f"{number!r}, not a whole number", "STEPS = 500")
        return None if number is None else int(number)

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

    def _called(self, name: str, part: Foreign, number: int = 0) -> Foreign:
        if not callable(part):
            return part
        needed = required_arguments(part)
        if needed:
            raise BatchError(
                f"{name}() needs arguments: {', '.join(needed)}",
                where=line_of(part),
                help=f"{self._def(f'{name}()')}   or, with the seed:   "
                f"{self._def(f'{name}(seed)')}",
            )
        with ExitStack() as stack:
            stack.enter_context(surroundings(self._address.folders))
            stack.enter_context(seeded(self._seed + number))
            stack.enter_context(reported(f"{name}()", kind=BatchError))
            return seeding(part, self._seed + number)()

    def _wrong(self, name: str, what: str, line: str) -> TargetError:
        where = line_of(self._rest[name])
        return TargetError(f"{name} of the recipe is {what}", where=where, help=line)
