"""Look into forward passes: only in sampled steps, and nothing is put on any module.

torch's hooks for all modules are registered when a sampled step begins and removed when it ends;
nothing that a copy, a pickle or a fast path of torch's could meet is ever left on a module. The
outermost watched module that is called opens a session, in which functions are heard too.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Set
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from unvanish.watch.functions import CALLS, Function, function_of
from unvanish.watch.layers import Layer, Layers, class_name, whole_path
from unvanish.watch.parts import Cuts
from unvanish.watch.pieces import cuts_along, is_cut, is_unfinished
from unvanish.watch.sampling import local
from unvanish.watch.sharing import is_rehearsal
from unvanish.watch.taps import Tap

_CHANNELS_FIRST: Final = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
)
_FAST: Final = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
"""Modules that compute in another way while functions are heard, where they do not train."""

_SURE_AFTER: Final = 4
"""Sampled passes without any function that is an activation, after which few are listened to."""

_LOOKED_UP: Final = 8
"""Samples after which modules are looked up anew: somebody may have exchanged one."""

_STILL_LISTENED: Final = 8
"""Every so many of them still are."""


class Forward:
    """Taps of the watched models' layers, and the hooks that feed them.

    Args:
        layers: The layers.
        owner: For a module's layer and the name of its model, the optimiser that it belongs to.
        failed: Told of what went wrong in a hook; nothing is hooked after that.
    """

    def __init__(
        self,
        layers: Layers,
        owner: Callable[[Layer, str], int],
        failed: Callable[[Exception], None],
    ) -> None:
        self.taps: list[Tap] = []
        self.in_backward = False
        self.autocast = ""
        self.batch = 0
        self._layers = layers
        self._owner = owner
        self._failed = failed
        self._known: dict[int, tuple[str, str]] = {}
        self._of_module: dict[int, Tap | None] = {}
        self._of_function: dict[int, Tap] = {}
        self._handles: list[RemovableHandle] = []
        self._stack: list[nn.Module] = []
        self._last: tuple[Layer | None, int, int] = (None, -1, 0)
        self._last_cuts: Cuts = ()
        self._thread = 0
        self._sample = 0
        self._mode = _Heard(self)
        self._is_heard = False
        self._passes = 0
        self._functions = 0
        self.is_whole = True
        self._frozen: set[int] = set()
        self._asked: weakref.ref[Tensor] | None = None
        self._answering: nn.Module | None = None
        self._answers = -1

    @property
    def is_open(self) -> bool:
        """Whether modules are hooked at the moment."""
        return bool(self._handles)

    def open(self, *, is_whole: bool) -> None:
        """Hook the modules, for one sampled step.

        Args:
            is_whole: Whether all quantities are asked for.
        """
        if self._handles:
            return
        self._end()
        self._end()
        if self._sample % _LOOKED_UP == 0:
            self.find_modules()
        self._sample += 1
        self.is_whole = is_whole
        for tap in self.taps:
            tap.is_whole = is_whole
        self._frozen.clear()
        self._answers, self._answering = 0, None
        self._handles = [
            torch_module.register_module_forward_pre_hook(self._before),
            torch_module.register_module_forward_hook(self._after, always_call=True),
        ]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._end()

    def freeze(self, optimizer: int) -> None:
        """Close the taps of an optimiser that stepped; the others' begin anew when next read."""
        self._frozen.add(optimizer)
        for tap in self.taps:
            if tap.owner not in self._frozen:
                tap.turn_past()

    def forget(self) -> None:
        """Drop what the taps read."""
        for tap in self.taps:
            tap.forget()

    def let_go(self, modules: Set[int]) -> None:
        """Know some modules no more.

        Args:
            modules: Their identities, which others may have from now on.
        """
        self._known = {key: one for key, one in self._known.items() if key not in modules}
        self._of_module = {key: one for key, one in self._of_module.items() if key not in modules}

    # --- modules ---------------------------------------------------------------------

    def find_modules(self) -> None:
        """Know the modules of all models that are watched by now."""
        self._known = {
            id(module): (name, whole_path(name, path))
            for name, model in self._layers.models
            for path, module in model.named_modules()
        }

    def _before(self, module: nn.Module, args: Any) -> None:
        if self.in_backward or id(module) not in self._known:
            return
        try:
            if not self._stack and not self._begin(module, args):
                return
            if threading.get_ident() != self._thread:
                return
            self._stack.append(module)
            if not module.training and isinstance(module, _FAST):
                self._mute()
            tap = self._tap(module)
            if tap is not None and tap.function is not None and tap.function.of_input:
                with torch._C.DisableTorchFunction():  # our own calls are none to be heard of
                    z = _first(args)
                    if z is not None and tap.owner not in self._frozen and not is_unfinished(z):
                        tap.read_input(local(z))
        except Exception as error:
            self._fail(error)

    def _after(self, module: nn.Module, _args: Any, output: Any) -> None:
        try:
            if self.in_backward:  # a part is computed once more, to save memory
                tap = self._of_module.get(id(module))
                h = _first(output)
                if tap is not None and h is not None:
                    self._hook(tap, h)
                return
            if module is self._answering:
                self._answering = None
            if not self._stack or threading.get_ident() != self._thread:
                return
            if self._stack[-1] is not module and all(module is not each for each in self._stack):
                return
            while self._stack.pop() is not module:  # what raised inside was never left
                pass
            if not self._stack:
                self._end()
            elif not self._is_heard and not module.training and isinstance(module, _FAST):
                self._listen()
            tap = self._tap(module)
            if tap is None:
                return
            with torch._C.DisableTorchFunction():
                h = _first(output)
                if h is not None:
                    self._read(tap, h, module)
        except Exception as error:
            self._fail(error)

    def _tap(self, module: nn.Module) -> Tap | None:
        try:
            return self._of_module[id(module)]
        except KeyError:
            tap = self._of_module[id(module)] = self._made(module)
            return tap

    def _made(self, module: nn.Module) -> Tap | None:
        function = function_of(module)
        is_leaf = not module._modules or isinstance(module, nn.MultiheadAttention)
        if not is_leaf or (function is None and not any(True for _ in module.parameters(False))):
            return None
        name, path = self._known[id(module)]
        layer = self._layers.of_module.get(id(module))
        if layer is None:
            layer = self._layers.of_module[id(module)] = Layer(path, class_name(module))
        settings = () if function is None else function.of_module(module)
        return self._added(Tap(layer, self._owner(layer, name), function, settings))

    def _added(self, tap: Tap) -> Tap:
        tap.is_whole = self.is_whole
        self.taps.append(tap)
        return tap

    def _read(self, tap: Tap, h: Tensor, module: nn.Module | None) -> None:
        """Look at an output, and see to it that its gradient is looked at."""
        self._layers.call(tap.layer)
        if not tap.is_whole and not tap.reads_slope:
            if tap.function is None:
                self._last = (tap.layer, -1, 0)
            self._hook(tap, h)
            return
        plain = local(h)
        if tap.function is None and module is not None:
            dim = 1 if isinstance(module, _CHANNELS_FIRST) and plain.ndim > 2 else -1
            size = plain.shape[dim] if plain.ndim else 0
            self._last = (tap.layer, dim, size)
            tap.cuts = self._last_cuts = cuts_along(h, dim)
            tap.is_cut = is_cut(h)
        else:
            tap.unit_dim = self._unit_dim(plain)
            tap.cuts = cuts_along(h, tap.unit_dim)
            if not hasattr(h, "placements") and h.ndim and h.shape[tap.unit_dim] == self._last[2]:
                tap.cuts = self._last_cuts
            tap.is_cut = bool(tap.cuts) or is_cut(h)
        is_new = bool(plain.ndim and plain.numel()) and tap.owner not in self._frozen
        if is_new and not is_unfinished(h):  # of an addend the size says nothing
            tap.read_output(plain)
        self._hook(tap, h)

    def _unit_dim(self, h: Tensor) -> int:
        """Tell which dimension counts units: that of the layer before, else by the shape."""
        _, dim, size = self._last
        if size and h.ndim > 1 and h.shape[dim] == size and (dim == -1 or h.ndim > 2):
            return dim
        return 1 if h.ndim >= 4 else -1

    def _hook(self, tap: Tap, h: Tensor) -> None:
        if not h.requires_grad or h.grad_fn is None:
            return
        sample = self._sample

        def read(gradient: Tensor | None) -> None:
            if (
                gradient is None
                or not self.in_backward
                or sample != self._sample
                or tap.owner in self._frozen
            ):
                return
            try:
                plain = local(gradient)
                if is_unfinished(gradient):
                    return
                if plain.numel() and plain.is_floating_point():
                    tap.read_gradient(plain)
            except Exception as error:
                self._fail(error)

        h.register_hook(read)

    # --- sessions --------------------------------------------------------------------

    def take_answers(self) -> int:
        """Return how often modules were asked, in a sampled step, for what is not learned from.

        That is so where they train, no gradient is recorded, and what they are given is not the
        tensor of the time before, as a set for validation would be. -1 where nothing was hooked.
        """
        answers, self._answers = self._answers, -1
        return answers

    def _begin(self, module: nn.Module, args: Any) -> bool:
        """Begin a session, where this is a pass that can be trained on."""
        if _is_transformed() or _is_compiling():
            return False
        if not torch.is_grad_enabled():
            self._hear_answer(module, args)
            return False
        if is_rehearsal():
            return False
        self._thread = threading.get_ident()
        self._last = (None, -1, 0)
        first = _first(args, whole_numbers=True)
        if first is not None and not self.batch:
            self.batch = first.shape[0] if first.ndim else 0
        if not self.autocast:
            parameters = (p for _, model in self._layers.models for p in model.parameters())
            any_tensor = first if first is not None else next(parameters, None)
            kind = "cpu" if any_tensor is None else any_tensor.device.type
            if torch.is_autocast_enabled(kind):
                self.autocast = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
        self._passes += 1
        is_sure = self._passes > _SURE_AFTER and not self._functions
        if not is_sure or self._passes % _STILL_LISTENED == 0:
            self._listen()
        return True

    def _hear_answer(self, module: nn.Module, args: Any) -> None:
        asked = _first(args, whole_numbers=True)
        if self._answering is not None or asked is None or not module.training:
            return
        self._answering = module
        whole = asked if asked._base is None else asked._base
        if self._asked is None or self._asked() is not whole:
            self._answers += 1
        self._asked = weakref.ref(whole)

    def _end(self) -> None:
        self._stack.clear()
        self._mute()

    def _listen(self) -> None:
        if not self._is_heard:
            self._mode.__enter__()  # type: ignore[no-untyped-call]
            self._is_heard = True

    def _mute(self) -> None:
        """Leave the function mode, unless another one of somebody's was left open above it."""
        if self._is_heard:
            self._is_heard = False
            if torch.overrides._get_current_function_mode() is self._mode:
                self._mode.__exit__(None, None, None)

    def _fail(self, error: Exception) -> None:
        self.close()
        self._failed(error)

    # --- functions -------------------------------------------------------------------

    def before_function(
        self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tap | None:
        """Hear that an activation function is called.

        Returns:
            Its tap; None where it is not to be looked at: it is part of an activation's module.
        """
        try:
            if not self._is_heard or self.in_backward or not self._stack or not args:
                return None
            if threading.get_ident() != self._thread:
                return None
            inside = self._of_module.get(id(self._stack[-1]))
            z = args[0]
            if not isinstance(z, Tensor) or (inside is not None and inside.function is not None):
                return None
            self._functions += 1
            tap = self._function_tap(function, function.of_call(args, kwargs))
            if function.of_input and tap.owner not in self._frozen and not is_unfinished(z):
                tap.read_input(local(z))
            return tap
        except Exception as error:
            self._fail(error)
            return None

    def after_function(self, tap: Tap, output: Any) -> None:
        """Hear what the function returned."""
        try:
            with torch._C.DisableTorchFunction():
                h = _first(output)
                if h is not None:
                    self._read(tap, h, None)
        except Exception as error:
            self._fail(error)

    def _function_tap(self, function: Function, settings: tuple[Any, ...]) -> Tap:
        name, path = self._known[id(self._stack[-1])]
        behind = self._last[0]
        if behind is not None:
            path = behind.path
        layer = self._layers.function(path, class_name(self._stack[-1]), function.name)
        tap = self._of_function.get(id(layer))
        if tap is None:
            owner = self._owner(behind or layer, name)
            tap = self._added(Tap(layer, owner, function, settings))
            self._of_function[id(layer)] = tap
        return tap


class _Heard(TorchFunctionMode):
    """Tells of activation functions as they are called; every call goes on as it was."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self._forward = forward

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        function = CALLS.get(func)
        tap = None
        if function is not None:
            tap = self._forward.before_function(function, args, kwargs)
        output = func(*args, **kwargs)
        if tap is not None:
            self._forward.after_function(tap, output)
        return output


def _first(value: Any, *, whole_numbers: bool = False) -> Tensor | None:
    """Return the first floating-point tensor of what a module takes or returns.

    Args:
        value: What it takes or returns.
        whole_numbers: Whether others count too, such as tokens.
    """
    if isinstance(value, Tensor):
        return value if whole_numbers or value.is_floating_point() else None
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return None
    for each in value:
        found = _first(each, whole_numbers=whole_numbers)
        if found is not None:
            return found
    return None


def _is_transformed() -> bool:
    """Tell whether functions are being transformed (vmap, torch.func) or recorded for replay."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def _is_compiling() -> bool:
    return torch.compiler.is_compiling()
