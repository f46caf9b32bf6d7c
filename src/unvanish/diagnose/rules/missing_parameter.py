"""UV504: parameters with a gradient that the optimiser does not step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site, Stray
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.cuts import named
from unvanish.diagnose.words import percent

_PARTIAL: Final = ("muon", "sparseadam")
"""Optimisers that take matrices only, or sparse gradients only."""


@final
@dataclass(frozen=True, kw_only=True)
class MissingParameter:
    """The gradient reaches a trainable parameter that the optimiser does not hold.

    ## What it measures
    Which parameters the user's optimiser holds, by identity, and which of the others are
    trainable and get a gradient that is not zero. The limit is zero such parameters
    (`max_missing_parameters`): a parameter is held or it is not.

    An optimiser that holds none of them is an error: it was built for another instance, or
    before the parameters were replaced. Some missing beside others that are held is a
    warning: a layer added later, a group forgotten, a temperature. So are trainable tensors
    between inputs and outputs that are no parameters of the network at all, such as layers
    in a plain list, unless the optimiser was given them by hand.

    ## Why it hurts
    The gradient is computed and thrown away. The parameter keeps its first value, without an
    error and without a word.

    ## When it stays silent
    On frozen parameters, on parameters without a gradient (teachers, EMA and momentum copies),
    on tensors that only the loss uses, and, but for tensors that are no parameters, where no
    optimiser was given. Where the optimiser holds float32 copies of short
    weights (master weights), nothing can be told.

    ## False alarms
    Training a part on purpose is healthy. So it is a note where all that is missing lies
    before all that is held (a backbone below a linear probe), where most entries are missing
    (BitFit, one player of a GAN), where the missing part is a branch of its own with
    several layers (the other player), and under Muon and SparseAdam, which take a part of the
    network and leave the rest to a second optimiser. `requires_grad_(False)` on the rest makes
    it clear.

    ## What helps
    Build the optimiser last, after every layer is in place: `torch.optim.AdamW(
    model.parameters())`. For a layer added later, `optimizer.add_param_group({"params": ...})`.

    ## Source
    Paszke and others (2019): an optimiser steps the tensors it was given, and no others.
    """

    code: ClassVar[str] = "UV504"
    name: ClassVar[str] = "missing-from-optimiser"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)

    max_missing_parameters: int = 0
    max_share_by_mistake: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Judge every trainable parameter that a gradient reaches."""
        if not recording.parameters:
            return NotMeasured("parameters, and which of them the optimiser holds")
        strays = [s for s in recording.strays if not s.in_optimizer]
        if strays:
            return Found((self._unregistered(recording, strays), *self._not_held(recording)))
        if all(p.in_optimizer is None for p in recording.parameters):
            return NotApplicable("which parameters the optimiser holds is not known")
        found = self._not_held(recording)
        if found:
            return Found(found)
        fed = _fed(recording)
        if not fed:
            return NotApplicable("no trainable parameter gets a gradient")
        return Clear(summary=f"the optimiser holds all {len(fed)} parameters with a gradient")

    def _not_held(self, recording: Recording) -> tuple[Finding, ...]:
        fed = _fed(recording)
        missing = [p for p in fed if p.in_optimizer is False]
        if len(missing) <= self.max_missing_parameters:
            return ()
        if not any(p.in_optimizer for p in recording.parameters):
            return (self._none_held(recording, missing),)
        return (self._finding(recording, [p for p in fed if p.in_optimizer], missing),)

    def _unregistered(self, recording: Recording, strays: Sequence[Stray]) -> Finding:
        places = dict.fromkeys(stray.site for stray in strays)
        sites = tuple(recording.sites[index] for index in places)
        entries = sum(math.prod(stray.shape) for stray in strays)
        one = len(strays) == 1
        place = f" at {sites[0].source}" if sites[0].source else ""
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{len(strays)} trainable tensor{'' if one else 's'} of "
            f"{entries} entries {'is' if one else 'are'} no parameter of the network{place}",
            sites=sites,
            measured=float(len(strays)),
            expected=0.0,
            limit=float(self.max_missing_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                "they get a gradient, but model.parameters() does not list them, so no optimiser "
                "built from it steps them, and no checkpoint keeps them",
            ),
            help=(
                "keep layers in nn.ModuleList or nn.ModuleDict, and tensors in nn.ParameterList "
                "or as nn.Parameter attributes; a plain list, dict or tensor is not seen",
                "if they are meant to stay as they are: part.requires_grad_(False)",
            ),
        )

    def _none_held(self, recording: Recording, missing: list[Parameter]) -> Finding:
        optimizer = recording.context.optimizer
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the optimiser holds none of the {len(missing)} trainable parameters",
            parameters=tuple(p.name for p in missing),
            measured=float(len(missing)),
            expected=0.0,
            limit=float(self.max_missing_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(
                f"{optimizer or 'the optimiser'} steps other tensors: it was built for another "
                "instance of the network, or before the parameters were replaced (a copy, "
                "a conversion, layers built anew)",
            ),
            help=(
                "build the optimiser from this very network, after it is complete: "
                "torch.optim.AdamW(model.parameters())",
            ),
        )

    def _finding(
        self, recording: Recording, held: list[Parameter], missing: list[Parameter]
    ) -> Finding:
        why = self._on_purpose(recording, held, missing)
        names = {p.name for p in missing}
        share = sum(p.size for p in missing) / max(1, sum(p.size for p in (*held, *missing)))
        verb = "is" if len(missing) == 1 else "are"
        notes = [
            f"{'it gets' if len(missing) == 1 else 'they get'} a gradient, which is thrown away: "
            f"{percent(share)} of the entries that get one"
        ]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if why else Severity.WARNING,
            message=f"{named(missing)} {verb} trainable, but not in the optimiser",
            sites=_users(recording, names),
            parameters=tuple(p.name for p in missing),
            measured=float(len(missing)),
            expected=0.0,
            limit=float(self.max_missing_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(*notes, *((why,) if why else ())),
            help=(
                'optimizer.add_param_group({"params": part.parameters()}), or build the optimiser '
                "after the last layer is in place",
                "if they are meant to stay as they are: part.requires_grad_(False)",
            ),
        )

    def _on_purpose(
        self, recording: Recording, held: list[Parameter], missing: list[Parameter]
    ) -> str:
        """Say why this looks like a choice; empty where it looks like a mistake."""
        entries = sum(p.size for p in missing)
        if entries > self.max_share_by_mistake * (entries + sum(p.size for p in held)):
            return "most of the network is left out, as where only a part of it is to be trained"
        name = recording.context.optimizer.name if recording.context.optimizer else ""
        if any(word in name.casefold() for word in _PARTIAL):
            return f"{name} takes a part of a network; a second optimiser usually has the rest"
        depth = _depths(recording)
        out = [depth[p.name] for p in missing if p.name in depth]
        inside = [depth[p.name] for p in held if p.name in depth]
        if out and inside and len(out) == len(missing) and max(out) <= min(inside):
            return "they lie before all that is trained, as a backbone below a linear probe does"
        branches = {_branch(p) for p in missing}
        whole = not branches & {_branch(p) for p in held}
        if whole and all(_layers(missing, branch) > 1 for branch in branches):
            return "they are a branch of their own, as the other player of a GAN is"
        return ""


def _fed(recording: Recording) -> list[Parameter]:
    """Return the trainable parameters that a gradient other than zero reaches."""
    return [
        p
        for p in recording.parameters
        if p.requires_grad and p.has_grad and p.log10_grad_rms != -math.inf
    ]


def _depths(recording: Recording) -> dict[str, int]:
    """Return the depth of each parameter's first use."""
    sites = recording.sites
    return {
        p.name: min(sites[use.site].depth for use in p.uses)
        for p in recording.parameters
        if p.uses and all(0 <= use.site < len(sites) for use in p.uses)
    }


def _users(recording: Recording, names: set[str]) -> tuple[Site, ...]:
    return tuple(site for site in recording.sites if names & set(site.weights))


def _branch(parameter: Parameter) -> str:
    return parameter.name.partition(".")[0]


def _layers(parameters: Sequence[Parameter], branch: str) -> int:
    """Count the weight matrices of a branch."""
    return sum(_branch(p) == branch and len(p.shape) >= 2 for p in parameters)
