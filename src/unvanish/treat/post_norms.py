"""Sums that are normalised before anything else uses them, and where their branches begin."""

from __future__ import annotations

import copy
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.records import Recording
from unvanish.core.wiring import Wiring
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import untouched
from unvanish.treat.streams import Branch, branches_of
from unvanish.treat.twins import twin_of
from unvanish.treat.ways import NORMS

_STAY: Final = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
"""Norms that standardise over samples or places, and not each token by itself."""
_LAYERS: Final = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


class PostNorms:
    """The post-norm branches of a network, or why they cannot be operated on.

    Attributes:
        refusal: Why nothing can be done; empty where something can.
        branches: The branches whose sum is normalised.
        layers: Paths of PyTorch's own layers among them.

    Args:
        model: The network.
        recording: One look at it.
        batch: What it is run on.
    """

    def __init__(self, model: nn.Module, recording: Recording, batch: Batch) -> None:
        self._model, self._batch = model, batch
        self._wiring = Wiring(recording)
        found = branches_of(recording)
        self.branches = [b for b in found if b.norm and not b.begins_normalised]
        self.layers: tuple[str, ...] = ()
        self.refusal = self._refusal(found)
        if self.refusal:
            return
        once = {b.norm.path: b for b in self.branches if b.norm}
        self._ends = {s: [b for b in found if b.stream == s][-1] for s in {b.stream for b in found}}
        self.branches = list(once.values())
        layers = (layer_of(model, path) for path in once)
        self.layers = tuple(dict.fromkeys(layer for layer in layers if layer))
        self._parents = self._with_same_input()

    def is_last(self, branch: Branch) -> bool:
        """Tell whether a branch ends its stream, and no norm but its own stands behind it."""
        if self._ends[branch.stream] is not branch or branch.norm is None:
            return False
        after = self._wiring.consumers(branch.norm)
        return not (after and all(site.op in NORMS for site in after))

    def entries(self, branch: Branch) -> tuple[str, ...]:
        """Return the modules whose input is the stream: one around all layers, or each layer."""
        parent = self._parent(branch)
        if parent in self._parents:
            return (parent,)
        return tuple(dict.fromkeys(site.path for site in branch.entries))

    def _parent(self, branch: Branch) -> str:
        paths = {site.path.rpartition(".")[0] for site in branch.entries}
        parent = paths.pop() if len(branch.entries) > 1 and len(paths) == 1 else ""
        return "" if f"{branch.join.path}.".startswith(f"{parent}.") else parent

    def _refusal(self, found: tuple[Branch, ...]) -> str:
        if not found:
            return "it has no residual branches"
        if not self.branches:
            return "no layer or RMS normalisation stands directly behind a residual sum"
        streams = {branch.stream for branch in self.branches}
        for branch in found:
            bare = branch.norm is None and not branch.begins_normalised
            if bare and branch.stream in streams:
                return f"only some of its sums are normalised, {branch.join.name} is not"
        seen: set[tuple[int, str]] = set()
        for branch in self.branches:
            if branch.norm is None:
                continue
            norm = self._model.get_submodule(branch.norm.path)
            if isinstance(norm, _STAY) or next(norm.children(), None) is not None:
                return f"{branch.norm.name} is no module of layer or RMS normalisation"
            if (branch.stream, branch.norm.path) in seen:
                return f"{branch.norm.path} is called by several blocks in a row"
            seen.add((branch.stream, branch.norm.path))
            if not branch.entries:
                return f"the branch that {branch.join.name} ends has no layer at its beginning"
            for site in branch.entries:
                layer = self._model.get_submodule(site.path)
                alone = next(layer.children(), None) is None
                if not (alone or isinstance(layer, nn.MultiheadAttention)) or not site.path:
                    return f"a branch begins with {site.function} in {site.path or 'the network'}"
        return ""

    def _with_same_input(self) -> frozenset[str]:
        """Return the modules around the first layers of a branch that get what these get."""
        wanted = {p: b for b in self.branches if (p := self._parent(b))}
        first: dict[str, Any] = {}
        paths = {*wanted, *(site.path for b in wanted.values() for site in b.entries)}
        hooks = []
        for path in paths:

            def note(
                module: nn.Module,  # noqa: ARG001
                args: tuple[Any, ...],
                kwargs: dict[str, Any],
                path: str = path,
            ) -> None:
                first[path] = args[0] if args else next(iter(kwargs.values()), None)

            module = self._model.get_submodule(path)
            hooks.append(module.register_forward_pre_hook(note, with_kwargs=True))
        try:
            if wanted:
                with untouched(self._model, seed=0), torch.no_grad():
                    call_model(self._model, self._batch.inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return frozenset(
            parent
            for parent, branch in wanted.items()
            if first.get(parent) is not None
            and all(first.get(site.path) is first[parent] for site in branch.entries)
        )


def layer_of(model: nn.Module, norm: str) -> str:
    """Return the path of PyTorch's own layer that a norm belongs to, or ``""``.

    Args:
        model: The network.
        norm: Path of the norm.
    """
    path = norm.rpartition(".")[0]
    layer = model.get_submodule(path)
    own = any(isinstance(layer, kind) and type(layer).forward is kind.forward for kind in _LAYERS)
    return path if own else ""


def fresh_norm(norm: nn.Module) -> nn.Module:
    """Return a norm of the same kind that has learnt nothing: weights one, biases zero.

    Args:
        norm: What it is like.
    """
    new = copy.deepcopy(twin_of(norm))
    with torch.no_grad():
        for name, parameter in new.named_parameters():
            parameter.fill_(0.0 if "bias" in name else 1.0)
            parameter.requires_grad_()
    return new
