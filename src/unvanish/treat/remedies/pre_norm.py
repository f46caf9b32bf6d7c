"""Pre-norm: normalisation moves from behind the residual sum to the beginning of the branch."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import untouched
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.streams import Branch, branches_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.ways import NORMS

_STAY: Final = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
"""Norms that standardise over samples or places, and not each token by itself."""
_LAYERS: Final = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


@final
@dataclass(frozen=True, kw_only=True)
class PreNorm:
    r"""Normalise what enters a residual branch instead of the sum: post-norm becomes pre-norm.

    ## When to use
    A transformer that computes norm(x + f(x)) and whose gradient fades towards the first block,
    or whose tokens grow alike: every normalisation divides the gradient of the skip, too. It is
    what makes post-norm transformers need a warm-up of the learning rate.

    ## What it changes
    The block becomes x + f(norm(x)), with the same normalisation, and one more stands behind the
    last block. PyTorch's own layers have a switch for it, `norm_first`. Elsewhere the norm is led
    past its old place and called where the branch begins, under a second name; its parameters
    stay the same tensors.

    ## What it costs
    One normalisation more. The network computes something else, so that a trained one has to be
    trained again. Where queries, keys and values are made by layers without a module around them
    the norm is computed for each.

    ## Settings
    `final_norm`: whether the last block gets a normalisation behind it. Without, the stream's
    size grows with depth and reaches the output so.

    ## Where we differ
    Nothing. A norm that stood behind the last block already stays the last.

    ## Composes with
    depth-scaled-init, which keeps the stream of a pre-norm network from growing.

    ## Evidence
    12 blocks of width 32 whose tokens agree: the gradient at the first residual sum over that at
    the last is 10^-0.8 before and 10^0.1 after. 24 blocks of width 32, Adam at 1e-3 without
    warm-up, 250 steps, the first of 12 tokens asked for: learned, and at chance without.

    ## Source
    Xiong and others (2020), sections 3 and 4.
    """

    name: ClassVar[str] = "pre-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV302"})
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["xiong2020"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose residual sums are normalised and whose branches are not."""
        plan = _Plan(case.model, case.recording, case.batch)
        if plan.refusal:
            return NotApplicable(plan.refusal)
        return Prescription(
            remedy=self.name,
            why=f"{len(plan.moved)} residual sums are normalised, so that the skip is divided too",
            change=self.change,
            keeps=self.keeps,
            settings={"final_norm": True},
            places=tuple(branch.norm.path for branch in plan.moved if branch.norm),
            cost="what was learnt; one normalisation more",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Turn the switch of PyTorch's layers, and move the norm elsewhere."""
        plan = _Plan(patient.model, patient.anatomy.recording, patient.batch)
        if plan.refusal:
            raise CannotTreatError(plan.refusal)
        final_norm = bool(prescription.settings["final_norm"])
        for path in plan.layers:
            patient.surgery.set_attribute(path, "norm_first", value=True)
            stack = path.rpartition(".layers.")[0]
            around = patient.model.get_submodule(stack)
            if isinstance(around, nn.TransformerEncoder) and around.use_nested_tensor:
                # Its nested tensors know post-norm only.
                patient.surgery.set_attribute(stack, "use_nested_tensor", value=False)
        for branch in plan.moved:
            self._move(patient, plan, branch, final_norm=final_norm)

    def _move(self, patient: Patient, plan: _Plan, branch: Branch, *, final_norm: bool) -> None:
        if branch.norm is None:
            return
        path = branch.norm.path
        norm = patient.model.get_submodule(path)
        behind = _fresh(norm) if final_norm and plan.is_last(branch) else None
        layer = _layer_of(patient.model, path)
        if layer:
            if behind is not None:
                patient.surgery.insert(
                    layer, behind, "after", stem="final_norm", before="its sum", after="normalised"
                )
            return
        for entry in plan.entries(branch):
            patient.surgery.insert(entry, _twin(norm), "before", stem="pre_norm")
        patient.surgery.insert(
            path,
            behind or nn.Identity(),
            "instead",
            stem="final_norm" if behind is not None else "passed_on",
            before="behind the sum",
            after="at the beginning of the branch",
            source=branch.norm.source,
        )


class _Plan:
    """What is moved where, or why nothing is.

    Attributes:
        refusal: Why nothing can be moved; empty where something can.
        moved: The branches whose norm is moved.
        layers: Paths of PyTorch's own layers among them.
    """

    def __init__(self, model: nn.Module, recording: Recording, batch: Batch) -> None:
        self._model, self._batch = model, batch
        self._wiring = Wiring(recording)
        found = branches_of(recording)
        self.moved = [b for b in found if b.norm and not b.begins_normalised]
        self.layers: tuple[str, ...] = ()
        self.refusal = self._refusal(found)
        if self.refusal:
            return
        once = {b.norm.path: b for b in self.moved if b.norm}
        self._ends = {s: [b for b in found if b.stream == s][-1] for s in {b.stream for b in found}}
        self.moved = list(once.values())
        layers = (_layer_of(model, path) for path in once)
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
        if not self.moved:
            return "no layer or RMS normalisation stands directly behind a residual sum"
        streams = {branch.stream for branch in self.moved}
        for branch in found:
            bare = branch.norm is None and not branch.begins_normalised
            if bare and branch.stream in streams:
                return f"only some of its sums are normalised, {branch.join.name} is not"
        seen: set[tuple[int, str]] = set()
        for branch in self.moved:
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
        wanted = {p: b for b in self.moved if (p := self._parent(b))}
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


def _layer_of(model: nn.Module, norm: str) -> str:
    """Return the path of PyTorch's own layer that a norm belongs to, or ``""``."""
    path = norm.rpartition(".")[0]
    layer = model.get_submodule(path)
    own = any(isinstance(layer, kind) and type(layer).forward is kind.forward for kind in _LAYERS)
    return path if own else ""


def _twin(norm: nn.Module) -> nn.Module:
    """Return a module that computes with the same parameters, to be called elsewhere."""
    twin = copy.copy(norm)
    for name, value in list(vars(twin).items()):
        if isinstance(value, dict):
            twin.__dict__[name] = type(value)(value)
    twin.__dict__.pop("forward", None)
    for name in list(vars(twin)):
        if name.endswith("_hooks"):
            twin.__dict__[name].clear()
    return twin


def _fresh(norm: nn.Module) -> nn.Module:
    """Return a norm of the same kind that has learnt nothing: weights one, biases zero."""
    new = copy.deepcopy(_twin(norm))
    with torch.no_grad():
        for name, parameter in new.named_parameters():
            parameter.fill_(0.0 if "bias" in name else 1.0)
            parameter.requires_grad_()
    return new
