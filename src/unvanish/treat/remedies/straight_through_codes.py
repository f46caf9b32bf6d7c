"""Straight-through codes: the rows of a codebook stay, and the encoder gets their gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.cuts import watched
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.treat.codes import Codes, Handed
from unvanish.treat.hearing import hear
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery


@final
@dataclass(frozen=True, kw_only=True)
class StraightThroughCodes:
    """Hand the gradient of looked-up rows on to the encoder's output that chose them.

    ## When to use
    A codebook whose nearest row takes the place of what an encoder made (UV205), without a
    straight-through estimator: the encoder starves, or learns from a commitment term alone.

    ## What it changes
    The derivative, and nothing else: the same rows are looked up. What they were compared with
    gets a copy of the gradient that the layers behind them send back, as if these were given
    z_q + (z_e - z_e.detach()). The rows keep their gradient, and so do the terms of the loss. What
    the rows were compared with is known by its shape and by what it is made of, as the network
    runs, also through views, one-hot vectors and products.

    ## What it costs
    The gradient is not that of the loss: it is biased, by more the further the rows lie from what
    they stand for. Some microseconds for each step of the forward, while gradients are recorded,
    and all that it computes is held until it returns.

    ## Settings
    For each place at which rows are chosen, the factor of the gradient that is handed on: 1.

    ## Where we differ
    van den Oord and others keep the gradient of the decoder from the codes, which learn from a term
    of their own. Here nothing is taken away, so that a codebook without such a term learns too.

    ## Composes with
    Anything that keeps the encoder's output as large as the codes. It stands in the place of
    straight-through-choice, whose gradient is that of a softmax of the distances.

    ## Evidence
    `unvanish cure benchmarks/outside_cures/epsilon/vq_digits.py --jobs 1`, mean of five seeds of
    243 steps: with batch-norm and 10 times the rate the codes leave 0.23 of the variance of the
    pixels unexplained, and all of it (1.0) untreated.

    ## Source
    van den Oord, Vinyals and Kavukcuoglu (2017), section 3.2; Bengio, Léonard and Courville (2013),
    section 4.
    """

    name: ClassVar[str] = "straight-through-codes"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205", "UV501"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["oord2017"], SOURCES["bengio2013"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"straight-through-choice"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which looked-up rows hand no gradient back to a trainable encoder."""
        names = {parameter.name for parameter in watched(case.recording)}
        deaf = [one for one in case.recording.lookups if names & set(one.parameters)]
        if not deaf:
            return NotApplicable(
                "no codebook's rows take the place of what an encoder made without its gradient"
            )
        settings = {f"{one.path} {one.op}".strip(): 1.0 for one in deaf}
        twin = copied(case.model)
        _prepare(Surgery(twin), settings, case.recording)
        try:
            after = trace(twin, case.batch, case.loss, batches=1, probe_steps=0)
        except UnvanishError as error:  # a checkpoint around the choice
            return NotApplicable(error.what)
        left = {(one.path, one.op) for one in after.lookups}
        if any((one.path, one.op) in left for one in deaf):
            return NotApplicable(
                f"it is not known as the network runs what the rows that {deaf[0].op} chooses "
                "were compared with"
            )
        table = f" of {deaf[0].table[0]}" if deaf[0].table else ""
        hit = names & {name for one in deaf for name in one.parameters}
        return Prescription(
            remedy=self.name,
            why=f"the rows{table} that {deaf[0].op} chooses pass no gradient on from "
            f"{deaf[0].feeds[0]} to {len(hit)} parameters of what they were compared with",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(dict.fromkeys(one.path for one in deaf)),
            cost="a gradient that is not that of the loss",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Let layers be given rows that hand their gradient on."""
        settings = {key: float(value) for key, value in prescription.settings.items()}
        recording = patient.anatomy.recording
        _prepare(patient.surgery, settings, recording)
        places = (one.source for one in recording.lookups if one.source)
        lines = " and ".join(dict.fromkeys(map(str, places)))
        patient.notes.append(
            "to keep it, give the layers z_e + (z_q - z_e).detach() in the place of the rows z_q"
            + (f" of {lines}" if lines else "")
            + ", and the terms of the loss z_q itself"
        )
        patient.notes.append(
            "where the loss has no term for the codes, give the layers z_q + (z_e - z_e.detach()), "
            "which leaves the codes their gradient"
        )


def _prepare(surgery: Surgery, settings: dict[str, float], recording: Recording) -> None:
    """Open the scope of a forward, and let each choice of rows in it be known."""
    codes = Codes()
    hear(
        surgery,
        codes,
        lambda setting: Handed(codes, setting),
        settings,
        recording,
        after="the gradient of the rows for what chose them",
    )
