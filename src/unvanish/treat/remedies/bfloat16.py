"""Bfloat16 in the place of float16: the range of float32 in 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.casts import casts, narrowed, recast, spoken, still_narrow
from unvanish.treat.precision import set_autocast
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

_FLOAT16: Final = (torch.float16,)


@final
@dataclass(frozen=True, kw_only=True)
class BFloat16:
    """Train under bfloat16 autocast in place of float16.

    ## When to use
    Float16 autocast under which gradients are rounded to zero (UV402) or numbers overflow (UV403).
    Bfloat16 has the eight exponent bits of float32: it ends at 3.4e38 and at 4.6e-41. The same
    where the forward pass casts to float16 by hand, and its weights are float32.

    ## What it changes
    The type of the autocast region. Weights, optimiser and code stay. Casts by hand give bfloat16
    in the place of float16.

    ## What it costs
    Precision: 8 significant bits in place of 11, a relative rounding error of up to 2^-8 in place
    of 2^-11. Some devices emulate it.

    ## Settings
    dtype: ``bfloat16``. casts: the lines of the casts by hand.

    ## Where we differ
    There is nothing to differ from.

    ## Composes with
    Every remedy but loss-scaling, which it makes needless, and float32-weights.

    ## Evidence
    A convolutional network under float16 autocast with a loss of 1e-4 times the squared error:
    float16 rounds 53 % of the gradient entries of a weight to zero, and none in bfloat16. After 150
    steps of Adam, seed 0, 0.10 of the variance is unexplained (1.64 before).

    ## Source
    Kalamkar and others (2019).
    """

    name: ClassVar[str] = "bfloat16"
    treats: ClassVar[frozenset[str]] = frozenset({"UV402", "UV403"})
    change: ClassVar[Change] = Change.PRECISION
    keeps: ClassVar[frozenset[Keeps]] = frozenset(Keeps)
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["kalamkar2019"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"loss-scaling", "float32-weights"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network that is trained under float16 autocast, or casts to float16 by hand."""
        context = case.recording.context
        if any(p.dtype is torch.float16 and p.requires_grad for p in case.model.parameters()):
            return NotApplicable(
                "the weights themselves are float16: keep them in float32, model.float(), and "
                "train under torch.autocast(device_type, dtype=torch.bfloat16)"
            )
        if "float16" in narrowed(case):
            return self._by_hand(case)
        if context.autocast != "float16":
            flows = f"autocast to {context.autocast}" if context.autocast else context.dtype
            flows = min(narrowed(case), default=flows)
            return NotApplicable(
                f"it is computed in {flows}, which has the range of float32 or more"
            )
        return Prescription(
            remedy=self.name,
            why="float16 ends at 65504 and at 3.0e-08, bfloat16 where float32 does",
            change=self.change,
            keeps=self.keeps,
            settings={"dtype": "bfloat16"},
            cost="three bits of precision",
        )

    def _by_hand(self, case: Case) -> Prescription | NotApplicable:
        found = casts(case, types=_FLOAT16)
        try:
            left = still_narrow(case, found, "bfloat16") if found else {""}
        except UnvanishError:
            return NotApplicable(
                "its forward holds other tensors of float16, which do not go with what is cast to "
                f"bfloat16 at {spoken(found)}"
            )
        if left:
            return NotApplicable("what makes its signal float16 is no cast in a forward of its own")
        return Prescription(
            remedy=self.name,
            why=f"the forward casts to float16, which ends at 65504 and at 3.0e-08, at "
            f"{spoken(found)}",
            change=self.change,
            keeps=self.keeps - {Keeps.FUNCTION, Keeps.ARCHITECTURE},
            settings={"dtype": "bfloat16", "casts": spoken(found)},
            places=tuple(dict.fromkeys(one.path for one in found)),
            cost="three bits of precision",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the type of the autocast region, or of the casts.

        Raises:
            CannotTreatError: If casts were to be changed, and the forward makes none any more.
        """
        if "casts" in prescription.settings:
            found = casts(patient, types=_FLOAT16)
            if not found:
                raise CannotTreatError("the forward casts to float16 nowhere any more")
            recast(patient.surgery, found, str(prescription.settings["dtype"]))
            patient.notes.append(
                "to keep it, write .to(torch.bfloat16) for the casts at "
                f"{prescription.settings['casts']}"
            )
            return
        set_autocast(patient, str(prescription.settings["dtype"]))
        patient.notes.append(
            "train under torch.autocast(device_type, dtype=torch.bfloat16), without a GradScaler"
        )
