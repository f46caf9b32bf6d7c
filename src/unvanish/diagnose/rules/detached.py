"""UV501: trainable parameters that no gradient reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.cuts import are_a_target, cut_off, cuts_of, left_out, named, site_of, watched

_CUTTING: Final = frozenset({"detach", "data", "item", "numpy", "tolist"})


@final
@dataclass(frozen=True, kw_only=True)
class DetachedParameter:
    """A trainable parameter shapes the loss, but no gradient comes back to it.

    ## What it measures
    For every trainable parameter two things: whether its value reaches the loss, and whether
    a gradient path leads back from the loss to it. A parameter with the first and without
    the second is cut off; the limit is zero such parameters (`max_cut_parameters`), since a
    graph either has the path or has not. A parameter that does not reach the loss at all is
    unused in this loss, which is a note and never more.

    The target can be cut off as well: a loss whose value depends on it and whose gradient does
    not, because the target meets the network's answer behind a `.detach()`, under `no_grad` or
    in numpy, and what comes of it is only added to a penalty that has a gradient.

    ## Why it hurts
    The optimiser skips a parameter without a gradient. It keeps its first value for good,
    without an error and without a word.

    ## When it stays silent
    On frozen parameters (`requires_grad` is False), on parameters that the optimiser does
    not hold (the momentum copy of BYOL and MoCo, a teacher), and on parameters whose
    gradient is there but exactly zero: that is a matter of UV101 and UV202.

    Parameters that an installed library cuts off of its own are a note: every way from them
    to the loss leads through a cut that stands in a line of a package in `site-packages`, in
    the same part of the network that the package brought. The indexer of a sparse attention
    and the codebook of a codec are such parts, and whoever uses them can mend nothing. A cut
    in your own code is none, nor is a library call under your own `no_grad`, nor a library
    that cuts off parameters which are not its own, nor a part of which nothing is left to
    learn, as a language model that is used by `generate()`. A package that was installed from
    a directory (`pip install .`) counts as yours.

    ## False alarms
    An auxiliary head that this loss does not use is healthy; it is reported as a note. A
    target network that is fed under `no_grad` looks cut off while the optimiser is not
    known: where every cut parameter has a living twin of the same name and shape in another
    branch, the finding is a note. Give the optimiser to be sure.

    ## What helps
    Remove what cuts the graph between the parameter and the loss. The finding names the call;
    where it is a known trap and no plain `.detach()`, UV505 says what to write in its place.
    Freeze on purpose with `requires_grad_(False)`.

    ## Source
    Paszke and others (2019): gradients flow only along recorded operations.
    """

    code: ClassVar[str] = "UV501"
    name: ClassVar[str] = "detached-parameter"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)

    max_cut_parameters: int = 0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every trainable parameter that the optimiser may hold."""
        if not recording.parameters:
            return NotMeasured("parameters, and which of them the gradient reaches")
        trainable = [p for p in recording.parameters if p.requires_grad]
        if not trainable:
            return NotApplicable("no parameter is trainable: all are frozen")
        if not any(p.has_grad for p in trainable):
            return Found((self._nothing_learns(recording, trainable),))
        cut = cut_off(recording)
        seen = watched(recording)
        unused = [p for p in seen if not p.feeds_loss and not p.has_grad]
        findings = []
        if len(cut) > self.max_cut_parameters:
            findings.append(self._cut(recording, cut))
        if by_design := left_out(recording):
            findings.append(self._by_design(recording, by_design))
        if blinding := [c for c in recording.cuts if c.blinds and (c.op in _CUTTING or c.under)]:
            findings.append(_blind(self.code, self.name, blinding))
        if unused:
            findings.append(self._unused(unused))
        if findings:
            return Found(tuple(findings))
        return Clear(
            summary=f"a gradient path reaches all {len(seen)} trainable parameters",
        )

    def _cut(self, recording: Recording, cut: list[Parameter]) -> Finding:
        target = are_a_target(recording, cut)
        places = _cut_places(recording, cut)
        notes = _cut_notes(places)
        if target:
            notes.append(
                "every one of them has a living twin in another branch, as the target network "
                "of BYOL or a teacher has; whether the optimiser holds them is not known"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if target else Severity.ERROR,
            message=f"{named(cut)} reach{'es' if len(cut) == 1 else ''} the loss, "
            "but no gradient comes back",
            sites=places,
            parameters=tuple(p.name for p in cut),
            measured=float(len(cut)),
            expected=0.0,
            limit=float(self.max_cut_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=tuple(notes),
            help=(
                "remove what cuts the graph on the way to the loss",
                "if they are meant to stay as they are: parameter.requires_grad_(False)",
            ),
        )

    def _by_design(self, recording: Recording, left: list[Parameter]) -> Finding:
        packages = dict.fromkeys(parameter.left_out_by for parameter in left)
        places = tuple(map(site_of, (c for c in cuts_of(recording, left) if c.package)))
        get, their = ("gets", "its") if len(left) == 1 else ("get", "their")
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"{named(left)} {get} no gradient by design of {' and '.join(packages)}",
            sites=places,
            parameters=tuple(p.name for p in left),
            measured=float(len(left)),
            expected=0.0,
            limit=float(self.max_cut_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=tuple(_cut_notes(places)) if places else (),
            help=(
                f"nothing to mend in your own code: {their} library trains them by a loss of its "
                "own, or not at all",
                "if they are meant to stay as they are: parameter.requires_grad_(False)",
            ),
        )

    def _unused(self, unused: list[Parameter]) -> Finding:
        verb = "is" if len(unused) == 1 else "are"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"{named(unused)} {verb} unused in this loss",
            parameters=tuple(p.name for p in unused),
            measured=float(len(unused)),
            expected=0.0,
            limit=0.0,
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=("this is healthy for an auxiliary head and for a branch that takes turns",),
            help=("if this is not on purpose, look where the forward pass leaves them out",),
        )

    def _nothing_learns(self, recording: Recording, trainable: list[Parameter]) -> Finding:
        places = _cut_places(recording, trainable)[::-1]  # nearest to the loss first
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"no gradient reaches any of the {len(trainable)} trainable parameters",
            sites=places,
            parameters=tuple(p.name for p in trainable),
            measured=float(len(trainable)),
            expected=0.0,
            limit=float(self.max_cut_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                "the graph between the parameters and the loss is cut as a whole",
                *(_cut_notes(places) if places else ()),
            )
            if any(p.feeds_loss for p in trainable)
            else ("the loss is not computed from anything that the network answers",),
            help=(
                "compute the loss from the network's output itself, outside torch.no_grad(), "
                "without .detach(), .data, .item() or numpy in between",
            ),
        )


def _blind(code: str, name: str, blinding: Sequence[Cut]) -> Finding:
    places = tuple(map(site_of, reversed(blinding)))
    return Finding(
        code=code,
        name=name,
        severity=Severity.ERROR,
        message="the loss meets the target in values without a gradient alone: nothing that is "
        "learned depends on the target",
        sites=places,
        measured=1.0,
        expected=0.0,
        limit=0.0,
        unit="share of the target that no gradient depends on",
        causes=(Cause.DETACHED_GRAPH,),
        notes=(
            *_cut_notes(places),
            "the gradient that is left belongs to the rest of the loss, such as a penalty",
        ),
        help=(
            "compare the target with the output itself, outside torch.no_grad(), .detach(), "
            ".item() and numpy",
        ),
    )


def _cut_places(recording: Recording, cut: Sequence[Parameter]) -> tuple[Site, ...]:
    """Return the calls that cut these parameters off, or the first step that uses them."""
    names = {parameter.name for parameter in cut}
    users = (site for site in recording.sites if names & set(site.weights))
    return tuple(map(site_of, cuts_of(recording, cut))) or tuple(users)[:1]


def _cut_notes(places: Sequence[Site]) -> list[str]:
    first = places[0] if places else None
    if first is None or first.index >= 0:
        return ["the value reaches the loss along a path that the backward pass cannot walk"]
    what = f".{first.op}" if first.op in _CUTTING else first.op
    where = f" at {first.source}" if first.source else f" in {first.path or 'the model'}"
    return [f"the gradient ends at {what}{where}"]
