"""Weights, signal and loss in float32, in the place of 16 bits throughout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

from torch import Tensor

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import Batch, map_tensors
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.treat.casts import casts, narrowed, recast, spoken, still_narrow
from unvanish.treat.precision import HALVES, Widen, set_loss, widen_parameters
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


@dataclass(frozen=True, eq=False)
class WidenedLoss:
    """A loss of targets in float32: ``loss(output, target)``.

    Attributes:
        loss: As in `unvanish.trace`.
    """

    loss: Callable[..., Any] | str | None

    @property
    def __name__(self) -> str:
        return "the loss" if self.loss is None else loss_name(self.loss)

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss."""
        return compute_loss(self.loss, output, Batch(None, map_tensors(target, _widened)))[0]


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALVES else tensor


@final
@dataclass(frozen=True, kw_only=True)
class Float32Weights:
    """Keep weights and signal in float32 in the place of 16 bits: ``model.float()``.

    ## When to use
    A network that was turned to float16 or bfloat16 as a whole (`model.half()`) and whose steps
    are rounded away (UV402), overflow (UV403), or divide by zero because the square of a gradient
    and eps are both 0 in float16 (UV401). A network of float32 weights whose forward pass casts to
    16 bits by hand, ``x.half()`` and ``self.weight.to(torch.float16)``, and loses its gradients
    there.

    ## What it changes
    Every weight, its state in the optimiser, the input of the network and the target of the loss
    are widened. The start is that of the 16 bits. Casts by hand are left out instead: what they
    were given goes on as it is. A cast under ``torch.no_grad()`` stays.

    ## What it costs
    Twice the memory of weights and activations. Where that is too much, keep the weights in
    float32 and train under ``torch.autocast(device_type, dtype=torch.bfloat16)``.

    ## Settings
    dtype: the type of the network as it is. casts: the lines of the casts by hand.

    ## Where we differ
    Micikevicius and others widen a copy of the weights alone. All is widened here, since a network
    that was built in 16 bits has no region that could be left in them.

    ## Composes with
    Every remedy but float32-islands, loss-scaling and bfloat16, which it makes needless.

    ## Evidence
    Three convolutions in float16 on 12 x 12 images, Adam at 2e-3: the first step divides 0 by 0,
    in float32 the loss falls (see the test). `unvanish cure` on
    benchmarks/outside_cures/epsilon/quiet_audio.py, whose layers cast to float16 by hand: an error
    power of 0.14 of the signal's in the place of 1.6, at 32 times the rate, means of five seeds.

    ## Source
    Micikevicius and others (2018), section 3.1.
    """

    name: ClassVar[str] = "float32-weights"
    treats: ClassVar[frozenset[str]] = frozenset({"UV401", "UV402", "UV403"})
    change: ClassVar[Change] = Change.PRECISION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["micikevicius2018"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"float32-islands", "loss-scaling", "bfloat16"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose weights are stored in 16 bits, or whose forward casts to them."""
        narrow = [p for p in case.model.parameters() if p.dtype in HALVES]
        if not narrow:
            return self._by_hand(case)
        dtype = str(narrow[0].dtype).removeprefix("torch.")
        return Prescription(
            remedy=self.name,
            why=f"weights, gradients and the optimiser's state are {dtype}",
            change=self.change,
            keeps=self.keeps - {Keeps.WEIGHTS},
            settings={"dtype": dtype},
            cost="twice the memory of weights and activations",
        )

    def _by_hand(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network of wider weights whose forward casts to 16 bits."""
        already = f"its weights are {case.recording.context.dtype} already"
        types = narrowed(case)
        if not types:
            return NotApplicable(already)
        found = casts(case)
        try:
            left = still_narrow(case, found, "float32") if found else {""}
        except UnvanishError:
            return NotApplicable(
                f"{already}, and its forward holds other tensors of 16 bits, which do not go with "
                f"what is left in float32 at {spoken(found)}"
            )
        if left:
            return NotApplicable(
                f"{already}, and what narrows its signal is no cast in a forward of its own"
            )
        return Prescription(
            remedy=self.name,
            why=f"the forward casts to {' and '.join(sorted(types))} at {spoken(found)}",
            change=self.change,
            keeps=self.keeps,
            settings={"dtype": min(types), "casts": spoken(found)},
            places=tuple(dict.fromkeys(one.path for one in found)),
            cost="twice the memory of activations",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Widen the weights, what enters the network, and what its loss compares it with.

        Raises:
            CannotTreatError: If casts were to be left out, and the forward makes none any more.
        """
        if "casts" in prescription.settings:
            found = casts(patient)
            if not found:
                raise CannotTreatError("the forward casts to 16 bits nowhere any more")
            recast(patient.surgery, found, "float32")
            patient.notes.append(
                f"to keep it, write .float() for the casts at {prescription.settings['casts']}"
            )
            return
        owners = [
            path
            for path, module in patient.model.named_modules()
            if path and any(p.dtype in HALVES for p in module.parameters(recurse=False))
        ]
        widen_parameters(patient, "")
        dtype = str(prescription.settings["dtype"])
        patient.surgery.insert("", Widen(), "before", before=f"{dtype} input", after="float32")
        for path in owners:  # the code may narrow the signal by itself
            patient.surgery.insert(path, Widen(), "before")
        set_loss(
            patient,
            WidenedLoss(patient.loss),
            before=f"target in {dtype}",
            after="target in float32",
        )
        patient.notes.append(
            "model.float(), and inputs and targets .float(): the optimiser is made behind it"
        )
