"""Cross entropy on scores in the place of an error of probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.prescriptions import Change, Edit, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import main_output
from unvanish.treat.ending import exchange_end, summed_axis, why_out_of_reach
from unvanish.treat.losses import Form, Known, Replacement, line_of, output_of, recognised, spoken
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

_SIGMOID: Final = "sigmoid"
_SOFTMAX: Final = "softmax"
_IN_THE_LOSS: Final = "the loss"
_ROUNDING: Final = 1e-3


@final
@dataclass(frozen=True, kw_only=True)
class LogitsLoss:
    r"""Compare scores with the target by cross entropy, in place of probabilities by their error.

    ## When to use
    A sigmoid or softmax at the end, and a squared or absolute error of its probabilities, or a
    cross entropy that takes the logarithm of them (UV203). Where the network is sure and wrong, the
    error is multiplied with the slope of the function, p (1 - p): at a score of -10 by 4.5e-5.
    The gradient of cross entropy by the score is p - t, whatever the score.

    ## What it changes
    The last function is left out, and the loss becomes `binary_cross_entropy_with_logits` (for a
    softmax `cross_entropy`) with the same constant factor and the same sum or mean. A loss that
    applies the sigmoid itself is exchanged and the network stays as it is.

    ## What it costs
    Nothing in time. The network answers scores: whoever reads probabilities off it has to apply the
    function. The loss has other values, and at a guess its gradient is four times as large: a
    learning rate at the edge may be too large.

    ## Settings
    loss: the new loss. factor: what it is multiplied by. sums: whether it sums rather than takes
    the mean. function: what is left out. axis: the axis over classes.

    ## Where we differ
    The user's loss is recognised by its answers on outputs of every kind, not by its name. One that
    is none of these, such as an error with weights of its own, is left to the user.

    ## Composes with
    Every other remedy. It takes the place of drop-inner-softmax.

    ## Evidence
    Digits, tanh features, ten sigmoids with a bias for one in a million, squared error, SGD with
    momentum at rate 0.2, 500 steps, seed 0: an accuracy of 0.95 (0.08 before). UV203 finds 5.1
    decades of the gradient lost before, and nothing after.

    ## Source
    Bridle (1990), on softmax and the logarithmic score; LeCun, Bottou, Orr and Müller (1998),
    section 4.5, on targets at the ends of a sigmoid.
    """

    name: ClassVar[str] = "logits-loss"
    treats: ClassVar[frozenset[str]] = frozenset({"UV203"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bridle1990"], SOURCES["lecun1998"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"drop-inner-softmax", "non-saturating-gan"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose loss is the error of probabilities that it makes of scores."""
        target = case.batch.target
        if not isinstance(target, Tensor):
            return NotApplicable("the batch has no target that probabilities are compared with")
        low, high = float(target.min()), float(target.max())
        if low < -_ROUNDING or high > 1.0 + _ROUNDING:
            return NotApplicable(
                f"the targets go from {low:g} to {high:g}: cross entropy wants probabilities"
            )
        site = _last(case)
        if site is None:
            return self._inside(case)
        if refused := why_out_of_reach(case, site):
            return NotApplicable(refused)
        axis = summed_axis(case, site) if site.op == _SOFTMAX else -1
        forms, answer = _forms(site.op, axis)
        known = recognised(case, forms, answer)
        if known is None:
            return NotApplicable(_own(case, f"the loss{line_of(case.loss)}"))
        if site.op == _SOFTMAX and not _sums_to_one(target, axis):
            return NotApplicable("the targets of a sample do not sum to one, as probabilities do")
        return self._prescription(site.op, axis, known, site.path)

    def _inside(self, case: Case) -> Prescription | NotApplicable:
        """Judge a loss that applies the sigmoid by itself."""
        known = recognised(case, _forms(_SIGMOID, -1)[0], _same)
        if known is None or known.form == "bce":
            return NotApplicable(
                "the loss takes scores and applies its own function"
                if known is not None
                else "no sigmoid or softmax of the network's is compared with the target"
            )
        return self._prescription(_IN_THE_LOSS, -1, known, "")

    def _prescription(self, function: str, axis: int, known: Known, path: str) -> Prescription:
        classes = function == _SOFTMAX
        loss = "cross_entropy" if classes else "binary_cross_entropy_with_logits"
        inside = function == _IN_THE_LOSS
        return Prescription(
            remedy=self.name,
            why=f"the loss is {_WORDS[known.form]} of a {_SOFTMAX if classes else _SIGMOID}, whose "
            "gradient ends where the output is sure",
            change=self.change,
            keeps=self.keeps,
            settings={
                "loss": loss,
                "factor": known.factor,
                "sums": known.sums,
                "function": function,
                "axis": axis,
            },
            places=() if inside else (path,),
            cost=""
            if inside
            else f"the network answers scores: apply the {function} where its answers are read",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Leave out the last function and exchange the loss.

        Raises:
            CannotTreatError: If the network has no such function at its end any more.
        """
        settings = prescription.settings
        function, axis = str(settings["function"]), int(settings["axis"])
        if function != _IN_THE_LOSS:
            site = _last(patient)
            if site is None or site.op != function:
                raise CannotTreatError(f"no {function} stands at the end of the network")
            exchange_end(patient, site, nn.Identity(), "no function")
            call = f"output, dim={axis}" if function == _SOFTMAX else "output"
            patient.notes.append(
                "the network answers scores now: for probabilities, apply "
                f"torch.{function}({call}) to them, outside of the loss"
            )
            if site.source is not None:
                patient.notes.append(f"to keep it, take {function} out at {site.source}")
        new = Replacement(
            kind=str(settings["loss"]),
            factor=float(settings["factor"]),
            sums=bool(settings["sums"]),
            axis=axis,
        )
        exchange_loss(patient, new)


_WORDS: Final = {
    "mse": "the squared error",
    "l1": "the absolute error",
    "bce": "the logarithm",
}


_WRITTEN: Final = {
    "binary_cross_entropy_with_logits": "F.binary_cross_entropy_with_logits(scores, target)",
    "cross_entropy": "F.cross_entropy(scores, target)",
    "non_saturating": "-F.logsigmoid(scores).mean()",
    "non_saturating_probabilities": "-torch.log(probabilities).mean()",
}
"""Kind of loss to what a user writes for it."""


def exchange_loss(patient: Patient, new: Replacement) -> None:
    """Put another loss in the place of a patient's, with books and undo."""
    old = patient.loss

    def undo() -> None:
        patient.loss = old

    patient.loss = new
    times = "" if new.factor == 1.0 else f"{new.factor:.3g} times "
    patient.surgery.hold(
        undo,
        Edit(
            place="",
            before=spoken(old),
            after=f"the loss {times}{new.kind}",
        ),
    )
    where = line_of(old)
    patient.notes.append(
        f"to keep it, write {_WRITTEN[new.kind]} in the loss{where}; until then, train with the "
        "loss of the treated network, which is no part of the network itself"
    )


def _same(scores: Tensor) -> Tensor:
    return scores * 1.0


def _forms(function: str, axis: int) -> tuple[dict[str, Form], Callable[[Tensor], Tensor]]:
    """Return the losses that are looked for behind a function, of scores, and the function."""

    def probabilities(scores: Tensor) -> Tensor:
        return torch.softmax(scores, axis) if function == _SOFTMAX else torch.sigmoid(scores)

    forms: dict[str, Form] = {
        "mse": lambda scores, target: (probabilities(scores) - target).square().mean(),
        "l1": lambda scores, target: (probabilities(scores) - target).abs().mean(),
    }
    if function != _SOFTMAX:
        forms["bce"] = lambda scores, target: F.binary_cross_entropy(
            probabilities(scores), target.clamp(0.0, 1.0)
        )
    return forms, probabilities


def _last(case: Case | Patient) -> Site | None:
    """Return the sigmoid or softmax that makes the network's output."""
    found = [
        site
        for site in case.anatomy.recording.signal_sites()
        if site.is_output and site.op in (_SIGMOID, _SOFTMAX) and site.op == site.function
    ]
    return found[-1] if found else None


def _sums_to_one(target: Tensor, axis: int) -> bool:
    if target.ndim == 0:
        return False
    total = target.double().sum(axis)
    return torch.allclose(total, torch.ones_like(total), atol=_ROUNDING)


def _own(case: Case, where: str) -> str:
    main = main_output(output_of(case))
    shape = f" for outputs of shape {tuple(main.shape)}" if main is not None else ""
    return (
        f"{where} is your own code and none of the errors that are known{shape}: take the function "
        "off the output and use torch.nn.functional.binary_cross_entropy_with_logits or "
        "cross_entropy there"
    )
