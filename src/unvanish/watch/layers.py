"""The layers of a run: modules with parameters, activations, and functions they are made of."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

from torch import nn
from torch.nn.parameter import UninitializedParameter

from unvanish.core.runs import WatchedLayer

_WRAPPED: Final = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Under which ``torch.compile``, FSDP and checkpoint wrappers keep a module."""


@dataclass(eq=False, slots=True)
class Layer:
    """A layer as it is found; its place is settled when its first sample is written.

    Attributes:
        path: Path of the module, with the name of its model in front where there are several.
        module: Class name of the module.
        function: Name of the function, where it is a call and no module.
        parameters: Its own parameters by name; shared ones at the first layer alone.
        units: Channels or features that can be dead.
        optimizer: Index of the optimiser that moves its parameters; -1 for none.
        position: Its index in the recording; -1 until it has one.
        past: What the recording says of it, where its parameters were let go of.
    """

    path: str
    module: str = ""
    function: str = ""
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    units: int = 0
    optimizer: int = -1
    position: int = -1
    past: WatchedLayer | None = None

    def record(self) -> WatchedLayer:
        """Return what the recording says of it."""
        if self.past is not None:
            return replace(self.past, index=self.position, units=self.units)
        return WatchedLayer(
            index=self.position,
            path=self.path,
            module=self.module,
            function=self.function,
            parameters=tuple(self.parameters),
            size=sum(p.numel() for p in self.parameters.values()),
            units=self.units,
            optimizer=self.optimizer,
        )


def whole_path(name: str, path: str) -> str:
    """Return the path of a module as a person would write it, without the wrappers on the way.

    Args:
        name: Of its model; empty where there is only one.
        path: Within the model.
    """
    own = ".".join(part for part in path.split(".") if part not in _WRAPPED)
    return "/".join(part for part in (name, own) if part)


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class; of one that was sharded in place, the class it was."""
    kind = type(module)
    if any(base.__name__ == "FSDPModule" for base in kind.__bases__):
        kind = kind.__bases__[-1]
    return kind.__name__


class Layers:
    """All layers of the watched models, in the order in which they were first called."""

    def __init__(self) -> None:
        self.of_module: dict[int, Layer] = {}
        self.settled: list[Layer] = []
        self._models: dict[str, Callable[[], nn.Module | None]] = {}
        self._of_function: dict[tuple[str, str], Layer] = {}
        self._of_parameter: dict[int, Layer] = {}
        self._called: dict[int, Layer] = {}

    @property
    def models(self) -> Sequence[tuple[str, nn.Module]]:
        """The watched models and their names."""
        return tuple(
            (name, model) for name, of in self._models.items() if (model := of()) is not None
        )

    def add(self, model: nn.Module, name: str) -> str:
        """Find the layers of a model.

        Args:
            model: The model.
            name: What stands in front of its paths; empty for nothing.

        Returns:
            The name it goes by, which no other has.
        """
        unique, number = name, 2
        while unique in self._models:
            unique, number = f"{name or 'model'}-{number}", number + 1
        self._models[unique] = lambda: model
        self.find(unique)
        return unique

    def find(self, name: str) -> None:
        """Look for layers of a model that were not there before."""
        for path, module in dict(self.models)[name].named_modules():
            own = {
                key: parameter
                for key, parameter in module._parameters.items()
                if parameter is not None and not isinstance(parameter, UninitializedParameter)
            }
            fresh = {k: p for k, p in own.items() if id(p) not in self._of_parameter}
            layer = self.of_module.get(id(module))
            if layer is None and own:
                layer = self.of_module[id(module)] = self.made(name, path, module)
            if layer is not None:
                layer.parameters.update(fresh)
                self._of_parameter.update((id(p), layer) for p in fresh.values())

    def let_go(self, optimizer: int, gone: Callable[[Set[int]], None]) -> None:
        """Keep no model alive any more whose only optimiser was thrown away.

        Args:
            optimizer: Index of the optimiser.
            gone: Told of the identities of a model's modules, when nobody else keeps it either.
        """
        for name, model in self.models:
            modules = {id(module) for module in model.modules()}
            own = [self.of_module[each] for each in modules if each in self.of_module]
            if {layer.optimizer for layer in own if layer.optimizer >= 0} == {optimizer}:
                purge = functools.partial(self._purge, name, modules, gone)
                self._models = {**self._models, name: weakref.ref(model, purge)}

    def _purge(
        self, name: str, modules: Set[int], gone: Callable[[Set[int]], None], _: object
    ) -> None:
        """Forget a model that is no more: others may have the identities of its parts."""
        self._models = {key: one for key, one in self._models.items() if key != name}
        for layer in [self.of_module[each] for each in modules if each in self.of_module]:
            layer.past, layer.parameters = layer.record(), {}
        self.of_module = {key: one for key, one in self.of_module.items() if key not in modules}
        self._of_parameter = {
            key: layer for key, layer in self._of_parameter.items() if layer.past is None
        }
        gone(modules)

    def made(self, name: str, path: str, module: nn.Module) -> Layer:
        """Make the layer of a module."""
        return Layer(whole_path(name, path), class_name(module))

    def function(self, path: str, module: str, name: str) -> Layer:
        """Return the layer of a function that is called behind the module of a path."""
        layer = self._of_function.get((path, name))
        if layer is None:
            layer = self._of_function[path, name] = Layer(path, module, name)
        return layer

    def holder(self, parameter: nn.Parameter) -> Layer | None:
        """Return the layer that a parameter stands at."""
        return self._of_parameter.get(id(parameter))

    def call(self, layer: Layer) -> None:
        """Note that a layer was called."""
        if layer.position < 0:
            self._called[id(layer)] = layer

    def settle(self) -> bool:
        """Give a place to layers that have none: those called first, then what has parameters.

        Returns:
            Whether there were any.
        """
        before = len(self.settled)
        for layer in (*self._called.values(), *self._uncalled()):
            if layer.position < 0:
                layer.position = len(self.settled)
                self.settled.append(layer)
        self._called.clear()
        return len(self.settled) > before

    def _uncalled(self) -> Iterator[Layer]:
        return (layer for layer in self.of_module.values() if layer.parameters)
