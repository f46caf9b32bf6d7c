"""A gradient through a reentrant checkpoint that no input asks one of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from unvanish.core.incidents import Cut
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.cuts import cut_off, cuts_of
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_WRITE = "torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)"


class AskForGradient(nn.Module):
    """Data that asks for a gradient, while any is recorded."""

    def forward(self, data: Any) -> Any:
        """Return the data itself, or a copy of it that asks for a gradient."""
        if (
            isinstance(data, Tensor)
            and torch.is_grad_enabled()
            and data.is_floating_point()
            and not data.requires_grad
        ):
            return data.detach().requires_grad_().clone()  # the forward may write into it
        return data


@final
@dataclass(frozen=True, kw_only=True)
class CheckpointGradient:
    """Let the data ask for a gradient, so that a reentrant checkpoint passes one to its parameters.

    ## When to use
    `torch.utils.checkpoint.checkpoint(..., use_reentrant=True)` around layers none of whose inputs
    asks for a gradient (UV505): it builds no graph, and its parameters get no gradient at all.

    ## What it changes
    The network's first argument asks for a gradient while one is recorded. The network computes
    what it computed.

    ## What it costs
    A copy of the data, and the gradient by it, which nobody uses: one more product in the first
    layer's backward pass.

    ## Settings
    None.

    ## Where we differ
    PyTorch's own advice is ``use_reentrant=False``, which needs no such thing: write that in the
    line. This is what can be done to a network that runs, as `enable_input_require_grads` of
    transformers does.

    ## Composes with
    Every other remedy.

    ## Evidence
    The gradient is that of the same network with ``use_reentrant=False``, to rounding. The zoo's
    network with a checkpointed body, 300 steps of AdamW, seed 0: an accuracy of 0.87 (0.40 before).

    ## Source
    Chen, Xu, Zhang and Guestrin (2016).
    """

    name: ClassVar[str] = "checkpoint-gradient"
    treats: ClassVar[frozenset[str]] = frozenset({"UV501", "UV505"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["chen2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose reentrant checkpoint reads its first argument."""
        cut = cut_off(case.recording)
        caught = [one for one in cuts_of(case.recording, cut) if one.under == "checkpoint"]
        if not caught:
            return NotApplicable("no reentrant checkpoint keeps a gradient from its parameters")
        if not _first_is_real(case.batch.inputs):
            return NotApplicable(
                "the network's first argument holds no real numbers, which could ask for a "
                f"gradient: write {_WRITE}{_at(caught[0])}"
            )
        names = {p.name for p in cut}
        if not _is_reached(case, names):
            return NotApplicable(
                "a gradient of the network's first argument does not reach the checkpoint: write "
                f"{_WRITE}{_at(caught[0])}"
            )
        return Prescription(
            remedy=self.name,
            why=f"a reentrant checkpoint{_at(caught[0])} gives {len(cut)} parameters no gradient",
            change=self.change,
            keeps=self.keeps,
            settings={"line": str(caught[0].source or "")},
            places=("",),
            cost="the gradient by the data",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Let the first argument ask for a gradient."""
        patient.surgery.insert(
            "",
            AskForGradient(),
            "before",
            before="data without a gradient",
            after="data that asks for a gradient",
        )
        line = str(prescription.settings["line"])
        where = f" at {line}" if line else ""
        patient.notes.append(f"to keep it, write {_WRITE}{where}, and leave this out")


def _first_is_real(inputs: Any) -> bool:
    first = inputs
    if isinstance(inputs, tuple) and inputs:
        first = inputs[0]
    elif isinstance(inputs, Mapping) and inputs:
        first = next(iter(inputs.values()))
    return isinstance(first, Tensor) and first.is_floating_point()


def _is_reached(case: Case, names: set[str]) -> bool:
    """Try on the network whether its parameters get a gradient then; leave it as it was."""
    context = case.recording.context
    parameters = [p for name, p in case.model.named_parameters() if name in names]
    device = next((p.device for p in parameters), torch.device("cpu"))
    conditions = Conditions(case.loss, context.seed, context.autocast, {})
    surgery = Surgery(case.model)
    with untouched(case.model, seed=context.seed), running(conditions, device):
        surgery.insert("", AskForGradient(), "before")
        seed_everything(context.seed)
        try:
            output = call_model(case.model, case.batch.inputs)
            loss = compute_loss(case.loss, output, Batch(None, case.batch.target))[0]
            if not loss.requires_grad:
                return False
            loss.backward()  # a reentrant checkpoint knows nothing of torch.autograd.grad
            return any(p.grad is not None for p in parameters)
        except RuntimeError:
            return False
        finally:
            surgery.undo()


def _at(cut: Cut) -> str:
    return f" at {cut.source}" if cut.source else ""
