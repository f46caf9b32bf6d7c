"""The one place that changes a network: values, modules, calls, connections, the optimiser.

Everything is written down and can be undone to the last bit. What cannot be operated on is
refused with a reason before anything is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Edit
from unvanish.observe.guard import is_lazy
from unvanish.treat.interception import (
    Insertion,
    free_name,
    is_shadowed,
    shadow,
    unshadow,
)
from unvanish.treat.relay import Relay
from unvanish.treat.turns import Turns

_WRAPPERS: Final = {
    "DistributedDataParallel": "treat the network first, then wrap it",
    "DataParallel": "treat the network first, then wrap it",
    "FullyShardedDataParallel": "treat the network first, then wrap it",
    "OptimizedModule": "treat the network first, then call torch.compile",
}
_REMEDIES: Final = "_unvanish_remedies"
"""Attribute of a treated network: the names of the remedies it was given, in order."""


_FAST_PATHS: Final = (
    (nn.TransformerEncoder, "use_nested_tensor"),
    (nn.TransformerEncoderLayer, "activation_relu_or_gelu"),
)
"""What a transformer of PyTorch's reads to know whether it may compute a layer in one kernel."""
_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward", "_is_full_backward_hook")
"""Beginnings of the attributes in which a module keeps its hooks, and how it calls them."""

_MOST_HELD: Final = 4096
"""Longest list or dict that is searched for a module; a longer one holds data."""

_TABLES: Final = frozenset({"_modules", "_parameters", "_buffers"})


class CannotTreatError(UnvanishError):
    """The network is of a kind that cannot be changed, or the remedy does not fit it."""


class NoEffectError(UnvanishError):
    """A remedy was applied and changed nothing."""


def refuse_untreatable(model: nn.Module) -> None:
    """Refuse a network that cannot be operated on.

    Raises:
        CannotTreatError: If it is wrapped, scripted, quantised, sharded or lazy.
    """
    for path, module in model.named_modules():
        place = path or type(model).__name__
        name = type(module).__name__
        if name in _WRAPPERS:
            raise CannotTreatError(
                f"the network is wrapped in {name}", where=place, help=_WRAPPERS[name]
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotTreatError(
                "a scripted module has no Python forward to change",
                where=place,
                help="treat the network before torch.jit.script(model)",
            )
        if type(module).__module__.startswith(("torch.ao.nn.quantized", "torch.nn.quantized")):
            raise CannotTreatError(
                "a quantised module has no weights that training could move",
                where=place,
                help="treat the float network, then quantise it",
            )
    for name, tensor in model.named_parameters():
        if is_lazy(tensor):
            raise CannotTreatError(
                "a lazy layer has no weights yet",
                where=name,
                help="run the network once on a batch first: model(inputs)",
            )
        if type(tensor).__name__ == "DTensor" or type(tensor.data).__name__ == "DTensor":
            raise CannotTreatError(
                "the network is sharded over several devices",
                where=name,
                help="treat the network first, then call fully_shard(model)",
            )


class Surgery:
    """Changes one network in place, keeps the books, and can put everything back.

    Args:
        model: The network; in most uses a copy.
        optimizer: Its optimiser; new parameters join the group of their layer, those that are
            taken out leave it with their state. None where there is none yet.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        refuse_untreatable(model)
        self.model = model
        self.optimizer = optimizer
        self.edits: list[Edit] = []
        self.notes: list[str] = []
        self._undo: list[Callable[[], None]] = []
        self._insertions: list[tuple[str, Insertion]] = []
        self._relayed: dict[int, tuple[Relay, set[tuple[object, ...]]]] = {}

    # ------------------------------------------------------------------ values

    def set_values(self, name: str, values: Tensor, *, source: SourceLine | None = None) -> None:
        """Give a parameter other values. Type, device, gradient flag and ties stay.

        Args:
            name: Name in ``named_parameters()``. The original of a parametrised weight is set so
                that the weight becomes `values`, where the parametrisation can be inverted.
            values: Tensor of the parameter's shape.
            source: The user's line that made the layer.

        Raises:
            CannotTreatError: If there is no such parameter, or it is computed from others in a
                way that has no inverse.
        """
        module, leaf = self._owner(name)
        stem = name.rpartition(".")[0]
        if stem.endswith("parametrizations." + leaf) or ".parametrizations." in f".{name}":
            self._set_parametrised(name, values)
            return
        parameter = module._parameters.get(leaf)
        if parameter is None:
            raise CannotTreatError("there is no such parameter", where=name)
        if parameter.shape != values.shape:
            raise CannotTreatError(
                f"the values are {tuple(values.shape)}, the parameter {tuple(parameter.shape)}",
                where=name,
            )
        before = parameter.detach().clone()
        with torch.no_grad():
            parameter.copy_(values)

        def undo() -> None:
            with torch.no_grad():
                parameter.copy_(before)

        self._undo.append(undo)
        if not torch.equal(before, parameter.detach()):
            self._note(name, f"rms {_rms(before)}", f"rms {_rms(parameter)}", source)

    def _set_parametrised(self, name: str, values: Tensor) -> None:
        path, _, rest = name.rpartition("parametrizations.")
        leaf = rest.split(".")[0]
        module = self.model.get_submodule(path.rstrip("."))
        parts: nn.Module = module.parametrizations[leaf]  # type: ignore[index,assignment]
        kept = [(t, t.detach().clone()) for t in (*parts.parameters(), *parts.buffers())]
        tables = [(part, dict(part._buffers)) for part in parts.modules()]

        def undo() -> None:
            for part, buffers in tables:
                part._buffers.update(buffers)
            with torch.no_grad():
                for tensor, old in kept:
                    tensor.copy_(old)

        reason = f"the weight is computed by {_parametrisations(module, leaf)}"
        with torch.no_grad():
            before = getattr(module, leaf).detach().clone()
            try:
                setattr(module, leaf, values.to(before))
            except Exception as error:
                undo()
                raise CannotTreatError(
                    f"{reason}, which cannot be turned round", where=name
                ) from error
            now = getattr(module, leaf)
            if not torch.allclose(now, values.to(now), rtol=0.02, atol=0.02 * float(now.std())):
                undo()
                raise CannotTreatError(f"{reason}, which gives other values", where=name)
        self._undo.append(undo)
        self._note(name, f"rms {_rms(before)}", f"rms {_rms(now)}", None)

    def weight_of(self, name: str) -> Tensor:
        """Return the values of a parameter, or of the weight that a parametrisation computes."""
        module, leaf = self._owner(name)
        if ".parametrizations." in f".{name}":
            path, _, rest = name.rpartition("parametrizations.")
            weight: Tensor = getattr(self.model.get_submodule(path.rstrip(".")), rest.split(".")[0])
            return weight.detach()
        return module._parameters[leaf].detach()  # type: ignore[union-attr]

    def add_bias(self, path: str) -> None:
        """Give a linear or convolution layer the bias it lacks, at zero."""
        module = self.model.get_submodule(path)
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or module._parameters.get("bias") is not None:
            return
        transposed = getattr(module, "transposed", False)
        units = (
            int(weight.shape[1]) * int(getattr(module, "groups", 1))
            if transposed
            else int(weight.shape[0])
        )
        had = "bias" in module._parameters
        bias = nn.Parameter(torch.zeros(units, dtype=weight.dtype, device=weight.device))
        module.register_parameter("bias", bias)
        self._join_optimizer([bias], like=[weight])

        def undo() -> None:
            if had:
                module._parameters["bias"] = None
            else:
                del module._parameters["bias"]

        self._undo.append(undo)
        self._note(f"{path}.bias".lstrip("."), "none", "zeros", None)

    # ------------------------------------------------------------------ modules

    def replace(
        self,
        path: str,
        new: nn.Module,
        *,
        what: str = "",
        like: Sequence[str] = (),
        source: SourceLine | None = None,
    ) -> None:
        """Put another module in the place of one, wherever the network holds it.

        Hooks, mode, device and type of the old one carry over; a module that is shared stays
        shared.

        Args:
            path: Path of the old module; not the root.
            new: What stands there from now on.
            what: What it is called in the books; its class name by default.
            like: Names of the parameters whose group of the optimiser new ones join; those of the
                old module by default.
            source: The user's line that made the old module.

        Raises:
            CannotTreatError: If the path is the root, or the module was given insertions.
        """
        if not path:
            raise CannotTreatError("the whole network cannot be replaced by another")
        old = self.model.get_submodule(path)
        self._fit(new, old)
        if is_shadowed(old):
            raise CannotTreatError(
                "something was inserted into this module before, and would be lost", where=path
            )
        _share_hooks(old, new)
        new.train(old.training)
        places = [
            (parent, name)
            for parent in self.model.modules()
            for name, child in parent._modules.items()
            if child is old
        ]
        for parent, name in places:
            parent._modules[name] = new
        hidden = list(_hidden_holders(self.model, old))
        for holder, key in hidden:
            holder[key] = new

        def undo() -> None:
            for parent, name in places:
                parent._modules[name] = old
            for holder, key in hidden:
                holder[key] = old

        self._undo.append(undo)
        self._leave_fast_path(path)
        self._exchange_in_optimizer(
            list(old.parameters()), list(new.parameters()), like=self._named(like)
        )
        self._note(path, type(old).__name__, what or type(new).__name__, source)

    def set_attribute(
        self, path: str, name: str, value: Any, *, source: SourceLine | None = None
    ) -> None:
        """Set a plain attribute of a module, such as ``norm_first``."""
        module = self.model.get_submodule(path) if path else self.model
        old = getattr(module, name)
        setattr(module, name, value)
        self._undo.append(lambda: setattr(module, name, old))
        self._note(path, f"{name}={old!r}", f"{name}={value!r}", source)

    # ------------------------------------------------------------------ calls

    def insert(
        self,
        path: str,
        part: nn.Module | None,
        where: str,
        *,
        function: str = "",
        call: int | None = None,
        relay: Relay | None = None,
        shared: bool = False,
        passes: int = 0,
        argument: int = 0,
        turns: Turns | None = None,
        like: Sequence[str] = (),
        stem: str = "",
        before: str = "",
        after: str = "",
        source: SourceLine | None = None,
    ) -> str:
        """Put a module before, behind or in the place of a call.

        Args:
            path: Path of the module that is called, or in whose forward the function is called.
            part: What computes; registered as a child of that module under a free name. None to
                remember only.
            where: ``"before"``, ``"after"``, ``"instead"``, ``"through"``, ``"remember"``,
                ``"recall"`` or ``"scope"``; see `unvanish.treat.interception.Insertion`.
            function: The function in that module's own forward; empty for the module's call.
            call: Which call of it, from 0; None for every one.
            relay: What a connection is carried by.
            shared: Whether a recall is also passed where nothing is carried.
            passes: Ends that what is remembered passes before it is recalled.
            argument: Which argument of the function is changed before it, from 0.
            turns: Which calls in a forward pass of the whole network are meant.
            like: Names of the parameters whose group of the optimiser new ones join; those of the
                module by default.
            stem: Name of the child; the class name in lower case by default.
            before: What stood there, for the books; nothing is written where both are empty.
            after: What stands there now.
            source: The user's line.

        Returns:
            The child's name.
        """
        module = self.model.get_submodule(path) if path else self.model
        name = ""
        if part is not None:
            name = free_name(module, stem or type(part).__name__.lower())
            self._fit(part, module)
            part.train(module.training)
            module.add_module(name, part)
            new = list(part.parameters())
            if new and self.optimizer is not None:
                self._join_optimizer(new, like=self._named(like) or list(module.parameters()))
        was = is_shadowed(module)
        one = Insertion(
            name=name,
            where=where,
            function=function,
            call=call,
            relay=relay,
            shared=shared,
            passes=passes,
            argument=argument,
            turns=turns,
        )
        shade = shadow(module)
        shade.insertions.append(one)
        self._insertions.append((path, one))
        self._leave_fast_path(path)

        def undo() -> None:
            place = len(shade.insertions) - 1
            while shade.insertions[place] is not one:
                place -= 1
            del shade.insertions[place]
            if name:
                del module._modules[name]
            if not was:
                unshadow(module)

        self._undo.append(undo)
        if before or after:
            self._note(path, before, after, source)
        return name

    def connect(
        self,
        start: tuple[str, str, int | None],
        end: tuple[str, str, int | None],
        combine: nn.Module,
        *,
        after: str,
        stem: str = "",
        relay: Relay | None = None,
        passes: int = 0,
        around: str | None = None,
        source: SourceLine | None = None,
    ) -> None:
        """Lead the first argument of one call to the output of a later one.

        Args:
            start: Path, function (empty for the module's call) and call of where it begins.
            end: The same of where it ends.
            combine: Called with (output, remembered); registered where the connection ends, or
                where it begins if the end is shared.
            after: What the connection is, for the books.
            stem: Name of the child; the class name in lower case by default.
            relay: What connections with one shared end are all carried by; None where nothing
                else ends there. The end is then passed without a connection, too.
            passes: Calls of the end that come before the one that is meant.
            around: Path of the module whose call bounds the life of what is carried; the innermost
                around both ends by default.
            source: The user's line.
        """
        shared = relay is not None
        relay = relay or Relay()
        if around is None:
            around = common_path(start[0], end[0])
        if self._is_new(relay, around, "scope"):
            self.insert(around, None, "scope", relay=relay)
        self.insert(
            start[0],
            combine if shared else None,
            "remember",
            function=start[1],
            call=start[2],
            relay=relay,
            passes=passes,
            stem=stem,
        )
        if self._is_new(relay, *end, "recall"):
            self.insert(
                end[0],
                None if shared else combine,
                "recall",
                function=end[1],
                call=end[2],
                relay=relay,
                stem=stem,
                shared=shared,
            )
        self._note(start[0], "no connection", after, source)

    def _is_new(self, relay: Relay, *place: object) -> bool:
        """Tell whether a relay has nothing at a place yet, and take note of it."""
        known = self._relayed.setdefault(id(relay), (relay, set()))[1]
        if place in known:
            return False
        known.add(place)
        return True

    # ------------------------------------------------------------------ optimiser

    def exchange_optimizer(self, new: torch.optim.Optimizer, *, before: str, after: str) -> None:
        """Train with another optimiser."""
        old = self.optimizer
        self.optimizer = new

        def undo() -> None:
            self.optimizer = old

        self._undo.append(undo)
        self._note("", before, after, None)

    def set_option(self, name: str, value: Any) -> None:
        """Set an option such as ``eps`` in every group of the optimiser that has it.

        Raises:
            CannotTreatError: If there is no optimiser, or no group has the option.
        """
        if self.optimizer is None:
            raise CannotTreatError(f"there is no optimiser whose {name} could be set")
        groups = [group for group in self.optimizer.param_groups if name in group]
        if not groups:
            raise CannotTreatError(f"{type(self.optimizer).__name__} has no option {name!r}")
        old = [group[name] for group in groups]
        for group in groups:
            group[name] = value

        def undo() -> None:
            for group, was in zip(groups, old, strict=True):
                group[name] = was

        self._undo.append(undo)
        if any(was != value for was in old):
            self._note("", f"{name}={_said(old[0])}", f"{name}={_said(value)}", None)

    def hold(self, undo: Callable[[], None], edit: Edit) -> None:
        """Keep the books on a change that was made elsewhere.

        Args:
            undo: Puts it back.
            edit: What was changed.
        """
        self._undo.append(undo)
        self.edits.append(edit)

    # ------------------------------------------------------------------ the end

    def unused(self) -> list[str]:
        """Name the places whose call was never met since the operation began."""
        return [
            f"{path or type(self.model).__name__} {one.function}".strip()
            for path, one in self._insertions
            if not one.fired
        ]

    def mark(self, remedy: str) -> None:
        """Write a remedy's name on the network, so that it is not given twice."""
        given = given_to(self.model)
        object.__setattr__(self.model, _REMEDIES, (*given, remedy))

        def undo() -> None:
            if given:
                object.__setattr__(self.model, _REMEDIES, given)
            else:
                self.model.__dict__.pop(_REMEDIES, None)

        self._undo.append(undo)

    def undo(self) -> None:
        """Put everything back, last change first."""
        while self._undo:
            self._undo.pop()()
        self.edits.clear()
        self._insertions.clear()
        self._relayed.clear()

    def _note(self, place: str, before: str, after: str, source: SourceLine | None) -> None:
        self.edits.append(Edit(place=place, before=before, after=after, source=source))

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        try:
            return (self.model.get_submodule(path) if path else self.model), leaf
        except AttributeError as error:
            raise CannotTreatError("there is no such parameter", where=name) from error

    def _fit(self, new: nn.Module, old: nn.Module) -> None:
        """Bring a new module to the device and type of the one whose place it takes.

        One that shares parameters with the network stays as it is, since they do.
        """
        beside = chain(old.parameters(), old.buffers(), self.model.parameters())
        like = next((t for t in beside if t.is_floating_point()), None)
        own = [*new.parameters(), *new.buffers()]
        if like is None or all(t.device == like.device and t.dtype == like.dtype for t in own):
            return
        fresh = {id(t) for t in own}
        if not any(id(p) in fresh for p in self.model.parameters()):
            new.to(device=like.device, dtype=like.dtype)

    def _leave_fast_path(self, path: str) -> None:
        """Keep PyTorch's transformer layers from computing in one kernel what was changed.

        In evaluation they read the weights of their parts and call none of them.
        """
        steps = path.split(".") if path else []
        for depth in range(len(steps) + 1):
            module = self.model.get_submodule(".".join(steps[:depth]))
            for kind, name in _FAST_PATHS:
                if isinstance(module, kind) and getattr(module, name, None):
                    self._undo.append(partial(setattr, module, name, getattr(module, name)))
                    setattr(module, name, 0)

    def _join_optimizer(self, new: list[nn.Parameter], *, like: list[Any]) -> None:
        """Put new parameters into the group of those they stand beside."""
        if self.optimizer is None:
            return
        known = {id(p) for each in self.optimizer.param_groups for p in each["params"]}
        new = [p for p in new if id(p) not in known]
        if not new:
            return
        group = _group_of(self.optimizer, like) or self.optimizer.param_groups[0]
        held = list(group["params"])
        group["params"] = [*held, *new]
        optimizer = self.optimizer

        def undo() -> None:
            group["params"] = held
            for parameter in new:
                optimizer.state.pop(parameter, None)

        self._undo.append(undo)

    def _named(self, names: Sequence[str]) -> list[nn.Parameter]:
        return [p for n, p in self.model.named_parameters() if n in names] if names else []

    def _exchange_in_optimizer(
        self, old: list[nn.Parameter], new: list[nn.Parameter], *, like: list[nn.Parameter]
    ) -> None:
        """Let new parameters take the place of old ones, whose state goes."""
        optimizer = self.optimizer
        if optimizer is None or not (old or new):
            return
        still = {id(p) for p in self.model.parameters()}
        gone = {id(p) for p in old if id(p) not in still}
        fresh = [p for p in new if not any(p is q for q in old)]
        group = _group_of(optimizer, like or old) or optimizer.param_groups[0]
        lists = [(each, list(each["params"])) for each in optimizer.param_groups]
        state = {p: optimizer.state[p] for p in old if id(p) in gone and p in optimizer.state}
        for each in optimizer.param_groups:
            each["params"] = [p for p in each["params"] if id(p) not in gone]
        group["params"] = [*group["params"], *fresh]
        for parameter in state:
            del optimizer.state[parameter]

        def undo() -> None:
            for each, held in lists:
                each["params"] = held
            for parameter, kept in state.items():
                optimizer.state[parameter] = kept
            for parameter in fresh:
                optimizer.state.pop(parameter, None)

        self._undo.append(undo)


def common_path(one: str, other: str) -> str:
    """Return the path of the innermost module around two.

    Args:
        one: Path of a module.
        other: Path of another.
    """
    shared = []
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        shared.append(a)
    return ".".join(shared)


def given_to(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the remedies that a network was given, in order."""
    found: tuple[str, ...] = model.__dict__.get(_REMEDIES, ())
    return found


def _group_of(optimizer: torch.optim.Optimizer, like: list[Any]) -> dict[str, Any] | None:
    ids = {id(p) for p in like}
    for group in optimizer.param_groups:
        if any(id(p) in ids for p in group["params"]):
            return group
    return None


def _share_hooks(old: nn.Module, new: nn.Module) -> None:
    """Let a module call the hooks of another one, and forget those that are removed from it."""
    for name, table in old.__dict__.items():
        if name.startswith(_HOOKS):
            new.__dict__[name] = table


def _hidden_holders(model: nn.Module, held: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Yield the plain attributes, lists and dicts that hold a module too, with its key in each."""
    for module in model.modules():
        yield from _holders_in(module.__dict__, held, 3)


def _holders_in(holder: Any, held: nn.Module, depth: int) -> Iterator[tuple[Any, Any]]:
    entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in list(entries):
        if value is held:
            yield holder, key
        elif (
            type(value) in (list, dict)
            and depth
            and len(value) <= _MOST_HELD
            and key not in _TABLES
        ):
            yield from _holders_in(value, held, depth - 1)


def _parametrisations(module: nn.Module, leaf: str) -> str:
    parts: Mapping[str, Any] = getattr(module, "parametrizations", {})
    return ", ".join(type(part).__name__ for part in parts[leaf]) if leaf in parts else "others"


def _said(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def _rms(tensor: Tensor) -> str:
    values = tensor.detach()
    if not values.numel():
        return "0"
    size = float(values.abs().square().mean(dtype=torch.float32).sqrt())
    return f"{size:.3g}"
