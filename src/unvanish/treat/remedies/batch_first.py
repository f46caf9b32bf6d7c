"""Recurrences, attentions and softmaxes along the sequence, and not along the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.protocol import Case, Patient

_LAYERS: Final = (nn.RNNBase, nn.MultiheadAttention)
_SOFTMAXES: Final = (nn.Softmax, nn.LogSoftmax)


@final
@dataclass(frozen=True, kw_only=True)
class BatchFirst:
    """Tell a layer that the samples come first.

    ## When to use
    PyTorch's own recurrences and attentions, and its softmax modules, where they were seen to run
    along the batch (UV510).

    ## What it changes
    `batch_first=True` in all of the recurrences or of the attentions that lack it, `dim=-1` in a
    softmax. The weights and their shapes stay; what is computed becomes what was meant.

    ## What it costs
    Nothing. What was learnt across the batch is lost.

    ## Settings
    None.

    ## Where we differ
    Nowhere. States that are made by hand with `x.size(1)` rows have to be made with `x.size(0)`.

    ## Composes with
    Every other remedy.

    ## Evidence
    An LSTM over 12 steps that is to tell the sign of a sum (tests/treat/remedies/
    test_batch_first.py): 0.9 of the answers are right after 150 steps, and less than 0.7 without.

    ## Source
    Paszke and others (2019): recurrences take the sequence first unless told otherwise.
    """

    name: ClassVar[str] = "batch-first"
    treats: ClassVar[frozenset[str]] = frozenset({"UV510"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which such a layer was seen to mix samples."""
        crossing = case.recording.crossing
        if crossing is None or not crossing.op:
            return NotApplicable("no recurrence, attention or softmax runs along the batch")
        if crossing.is_torn:
            return NotApplicable(
                "samples are torn before they come there: write transpose in place of view"
            )
        mixing = case.model.get_submodule(crossing.path)
        if isinstance(mixing, _SOFTMAXES):
            return self._prescription("the softmax runs along the batch", (crossing.path,))
        kind = next((kind for kind in _LAYERS if isinstance(mixing, kind)), None)
        if kind is None or mixing.batch_first:
            return NotApplicable(
                f"{crossing.op} is called by code of your own: transpose what it is given"
            )
        places = tuple(
            path
            for path, module in case.model.named_modules()
            if isinstance(module, kind) and not module.batch_first
        )
        layers = "a layer runs" if len(places) == 1 else f"{len(places)} layers run"
        return self._prescription(f"{layers} along the batch", places)

    def _prescription(self, why: str, places: tuple[str, ...]) -> Prescription:
        return Prescription(
            remedy=self.name,
            why=why,
            change=self.change,
            keeps=self.keeps,
            places=places,
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the attribute that says along what a layer works."""
        for path in prescription.places:
            if isinstance(patient.model.get_submodule(path), _SOFTMAXES):
                patient.surgery.set_attribute(path, "dim", -1)
            else:
                patient.surgery.set_attribute(path, "batch_first", value=True)
