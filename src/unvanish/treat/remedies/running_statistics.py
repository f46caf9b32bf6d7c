"""Running statistics that follow the network: PyTorch's own momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class RunningMomentum:
    """Let running statistics follow the network: a momentum of 0.1.

    ## When to use
    A BatchNorm whose running statistics lag, hold the last batch alone or never move (UV509): the
    network learns in training mode and is asked for rubbish in evaluation mode. Most often a decay
    of TensorFlow or a momentum of Keras was taken over, which is 1 minus PyTorch's.

    ## What it changes
    The momentum of these normalisations. Training is the same to the last bit; statistics that
    were kept stay, and are forgotten in some tens of batches.

    ## What it costs
    Nothing. Statistics of very small batches are noisier with 0.1 than with 0.01.

    ## Settings
    momentum: 0.1, PyTorch's own: the mean is over some ten batches, with a variance of a twentieth
    of one batch's.

    ## Where we differ
    Ioffe and Szegedy take the statistics for evaluation from the trained network, over many
    batches, and name moving averages as a way to watch it meanwhile. `momentum=None`, the mean over
    all batches, is not taken: it never forgets those of the untrained network.

    ## Composes with
    Every other remedy.

    ## Evidence
    A reader of plates with momentum 0.0003 (benchmarks/outside_cures/kappa/plate_reader_ctc.py),
    500 steps, three seeds: every plate is read on further images in the place of one in a hundred.
    An MLP of two BatchNorms on digits, batches of 8, 1000 steps of Adam, two seeds: an accuracy of
    0.97 in evaluation mode, and of 0.92 with momentum 0.99.

    ## Source
    Ioffe and Szegedy (2015), algorithm 2 and section 3.1; Paszke and others (2019), whose
    documentation of BatchNorm defines momentum and its default.
    """

    name: ClassVar[str] = "running-statistics"
    treats: ClassVar[frozenset[str]] = frozenset({"UV509"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset(Keeps)
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ioffe2015"], SOURCES["paszke2019"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    momentum: float = 0.1

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit normalisations in training mode whose running statistics mislead."""
        if not case.recording.running_statistics:
            return NotApplicable("no normalisation keeps running statistics")
        places = _misled(case.recording)
        if not places:
            return NotApplicable("the running statistics of every normalisation follow its batches")
        momenta = sorted({_norm(case.model, path).momentum or 0.0 for path in places})
        one = len(places) == 1
        return Prescription(
            remedy=self.name,
            why=f"{len(places)} normalisation{'' if one else 's'} {'has' if one else 'have'} "
            f"momentum {' and '.join(f'{momentum:.3g}' for momentum in momenta)}",
            change=self.change,
            keeps=self.keeps,
            settings={"momentum": self.momentum},
            places=tuple(places),
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the momentum of each."""
        known = _misled(patient.anatomy.recording)
        kinds = dict(patient.model.named_modules())
        there = [p for p in prescription.places if isinstance(kinds.get(p), _Norm)]
        if not there:
            raise CannotTreatError("there is no such normalisation any more")
        for path in there:
            source = known[path].built if path in known else None
            patient.surgery.set_attribute(
                path, "momentum", float(prescription.settings["momentum"]), source=source
            )
        patient.notes.append(
            "a network that has been trained needs some tens of batches in training mode before it "
            "is asked in evaluation mode, or torch.optim.swa_utils.update_bn"
        )


_Norm = nn.modules.batchnorm._NormBase


def _misled(recording: Recording) -> dict[str, Site]:
    """Return the normalisations whose running statistics mislead, path to site."""
    sites = [recording.sites[o.site] for o in recording.running_statistics if o.misleads]
    return {site.path: site for site in sites}


def _norm(model: nn.Module, path: str) -> _Norm:
    norm = model.get_submodule(path)
    assert isinstance(norm, _Norm)
    return norm
