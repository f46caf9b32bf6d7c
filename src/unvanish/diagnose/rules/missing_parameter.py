"""UV504: parameters with a gradient that the optimiser does not step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Stray
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.cuts import named
from unvanish.diagnose.optimiser import depths, embeddings
from unvanish.diagnose.starts import are_at_start
from unvanish.diagnose.words import percent

_PARTIAL: Final = ("muon", "sparseadam")
"""Optimisers that take matrices only, or sparse gradients only."""
_UNREGISTERED: Final = (
    "they get a gradient, but model.parameters() does not list them, so no optimiser "
    "built from it steps them, and no checkpoint keeps them"
)
_UNREGISTERED_HELP: Final = (
    "keep layers in nn.ModuleList or nn.ModuleDict, and tensors in nn.ParameterList "
    "or as nn.Parameter attributes; a plain list, dict or tensor is not seen",
    "if they are meant to stay as they are: part.requires_grad_(False)",
)
_DRAWN: Final = (
    "forward() fills them with other random numbers each time, so what comes before "
    "and behind them has nothing to adapt to, and no step ever changes them"
)
_DRAWN_HELP: Final = (
    "build the layer once, in __init__, and call it in forward()",
    "where its input size is not known there: torch.nn.LazyLinear, torch.nn.LazyConv2d",
    "where random features are meant: keep them in a buffer, self.register_buffer(...)",
)
_RANDOM: Final = (
    "they were never trained, and what the optimiser trains stands behind them: it can learn "
    "no more than to read random codes"
)
_RANDOM_HELP: Final = (
    "where a second optimiser has them: give the check one with a parameter group for each"
)
_NORMS: Final = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
_GATES: Final = {"GRU": 3, "LSTM": 4, "RNN": 1}
"""Matrices that PyTorch stacks in one of a recurrent module, all drawn by its hidden size."""
_JUDGEMENT: Final = 2
"""Numbers per sample in which a judge of real and made data ends: a score, or two classes."""


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
    in a plain list, unless the optimiser was given them by hand. So is a layer that is built in
    `forward()`, of new random numbers in every pass.

    ## Why it hurts
    The gradient is computed and thrown away. The parameter keeps its first value, without an
    error and without a word.

    ## When it stays silent
    On frozen parameters, on parameters without a gradient (teachers, EMA and momentum copies),
    on tensors that only the loss uses, on what `forward()` makes of ones and zeros (a norm whose
    gain nobody trains) or without wrapping it in a parameter (a first state), and, but for tensors
    that are no parameters, where no optimiser was given. Where the optimiser holds float32 copies
    of short weights (master weights), nothing can be told.

    ## False alarms
    Training a part on purpose is healthy. So it is a note where all that is missing lies
    before all that is held (a backbone below a linear probe), where most entries are missing
    (BitFit, one player of a GAN), where the missing part is a branch of its own with
    several layers (the other player), where all hidden matrices are left out and what stands
    beside them is held (Muon has them), and under Muon and SparseAdam, which take a part of the
    network and leave the rest to a second optimiser, and where all that is missing are gains and
    shifts of norms, which standardise without them. `requires_grad_(False)` on the rest makes
    it clear.

    Some patterns are nobody's choice, and stay a warning: a single layer or embedding tables
    alone that are missing beside several layers that are held; a branch both before and behind
    layers that are held, since a player stands at one end of the other; and a missing tensor
    whose place in the optimiser is taken by one that the network does not have any more: the
    shapes agree in all axes but the first, as a new head and the old one do. So is, however
    large, a branch that was never trained and lies beside one branch that is held and before
    another: a list of parameter groups that forgot one. No backbone is left out on purpose that
    has learned nothing, and the other player stands before or behind all of the first. A norm
    or a bias that has a gradient and is exactly one or zero throughout was never stepped. Nor
    was a network in which each of several matrices of 100 entries or more (`min_entries`) has the
    rms that PyTorch's own start gives it, within 3 standard errors (`max_standard_errors`). In each
    of twelve MLPs of 24 to 1024 units, trained on digits with rates of 1e-4 and 1e-3 (Adam) and
    0.05 (SGD), one matrix at least was 5 standard errors off, and 14 or more where the accuracy
    had passed 0.6.

    Three more patterns are a warning in a network that was never trained: by the sizes of its
    matrices, or because the gains of a norm are exactly one. One layer alone is held and reads
    nothing but what is missing, as where a body was unfrozen after the optimiser was built: a
    linear probe needs a body that has learned something. All kernels of convolutions are
    missing, the first with them, where matrices and vectors are held: parameter groups by
    number of axes that forgot four. (Muon leaves the first layer to another optimiser.) And two
    parts meet in the loss alone and only one is held, as an actor without its critic: what has
    a loss of its own gets no gradient from another, and a player stands before or behind the
    the other one. Two optimisers that share one sum of losses are a false alarm.

    So is an encoder whose decoder alone is held: a part that was never trained and stands before
    several layers that are held, so that nothing of it reaches the loss but through them, and
    nothing of theirs without it. They learn to read random codes. A sequence-to-sequence network
    in which only the decoder was given to Adam came to an accuracy of 0.64, and to 0.83 with all.
    Where the part has norms, they tell whether it was trained: one that has moved was. Else all
    its vectors are ones or zeros, or its matrices, of 3000 entries or more together
    (`min_entries_of_an_encoder`), have the rms that their own module draws them with, and so have
    their biases. (Weight decay leads trained matrices back through that size: in 4 % of 7440
    looks at encoders of two layers of 12 to 40 units, most of them of fewer entries, trained on
    digits, wine and tumours under strong decay, and in 0.3 % of 1860 at 96 units.)

    A generator stands in the same place before a discriminator that is held. But a judge is shown
    real data as well, so that some of what it says is not made of what is missing, and it ends in
    a score or in two classes. So it is a note where held layers speak without what is missing, or
    end in one or two units or channels; a decoder of one series or one mask is missed for that.
    Random features under a readout of several layers are a false alarm, and so is a judge of
    three classes and more that is shown real and made data in one batch. So is one of two
    optimisers, for an encoder and its decoder, if the check is given the decoder's alone: before
    the first step nothing tells it from a mistake.

    Biases alone, or embedding tables alone, are trained on purpose where the rest has learned
    something (BitFit, textual inversion) or where a second optimiser has it. Where the optimiser
    holds nothing else and the rest was never trained, it is a warning, except for tables under
    Adagrad or a sparse optimiser, the usual half of a recommender, and where the gains of norms
    are held, which can be trained alone. Two optimisers parted by the number of axes, in a
    network without norms, are a false alarm.

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
    max_standard_errors: float = 3.0
    min_entries: int = 100
    min_entries_of_an_encoder: int = 3000

    def examine(self, recording: Recording) -> Verdict:
        """Judge every trainable parameter that a gradient reaches."""
        if not recording.parameters:
            return NotMeasured("parameters, and which of them the optimiser holds")
        strays = [s for s in recording.strays if not s.in_optimizer]
        if strays:
            kinds = (
                [s for s in strays if s.drawn],
                [s for s in strays if not s.drawn],
            )
            unregistered = [self._unregistered(recording, kind) for kind in kinds if kind]
            return Found((*unregistered, *self._not_held(recording)))
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
        one, drawn = len(strays) == 1, strays[0].drawn
        said = "made anew in every forward pass" if drawn else "no parameter of the network"
        place = f"{',' if drawn else ''} at {sites[0].source}" if sites[0].source else ""
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{len(strays)} trainable tensor{'' if one else 's'} of "
            f"{entries} entries {'is' if one else 'are'} {said}{place}",
            sites=sites,
            measured=float(len(strays)),
            expected=0.0,
            limit=float(self.max_missing_parameters),
            unit="parameters",
            causes=(Cause.DETACHED_GRAPH,),
            notes=(_DRAWN if drawn else _UNREGISTERED,),
            help=_DRAWN_HELP if drawn else _UNREGISTERED_HELP,
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
        is_encoder = not why and self._is_a_random_encoder(recording, held, missing)
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
            notes=(*notes, *((why,) if why else ()), *((_RANDOM,) if is_encoder else ())),
            help=(
                'optimizer.add_param_group({"params": part.parameters()}), or build the optimiser '
                "after the last layer is in place",
                "if they are meant to stay as they are: part.requires_grad_(False)",
                *((_RANDOM_HELP,) if is_encoder else ()),
            ),
        )

    def _on_purpose(
        self, recording: Recording, held: list[Parameter], missing: list[Parameter]
    ) -> str:
        """Say why this looks like a choice; empty where it looks like a mistake."""
        name = recording.context.optimizer.name if recording.context.optimizer else ""
        if any(word in name.casefold() for word in _PARTIAL):
            return f"{name} takes a part of a network; a second optimiser usually has the rest"
        if _are_of_norms(recording, missing) and not _are_of_norms(recording, held):
            return "they are of norms alone, which standardise without them"
        if _replaced(recording, missing) or _is_one_layer(recording, held, missing):
            return ""
        at_start = self._are_at_start(recording, missing)
        if at_start and _only_tunes(recording, held, missing, name):
            return ""
        if (at_start or _is_untrained(missing)) and _is_beside(recording, held, missing):
            return ""
        fresh = at_start or any(p.size > 1 and p.rms == 1.0 for p in (*held, *missing))
        if fresh and (
            _is_below_a_head(recording, held, missing) or _is_by_axes(recording, held, missing)
        ):
            return ""
        if self._are_at_start(recording, [*held, *missing]) and _meet_in_the_loss(
            recording, held, missing
        ):
            return ""
        if self._is_a_random_encoder(recording, held, missing):
            return ""
        entries = sum(p.size for p in missing)
        if entries > self.max_share_by_mistake * (entries + sum(p.size for p in held)):
            return "most of the network is left out, as where only a part of it is to be trained"
        depth = _depths(recording)
        out = [depth[p.name] for p in missing if p.name in depth]
        inside = [depth[p.name] for p in held if p.name in depth]
        if out and inside and len(out) == len(missing) and max(out) <= min(inside):
            return "they lie before all that is trained, as a backbone below a linear probe does"
        if _is_one_kind(recording, held, missing):
            return "they are all the hidden matrices, which a second optimiser may have, as Muon"
        stem = _stem([*held, *missing])
        branches = {_branch(p, stem) for p in missing}
        whole = not branches & {_branch(p, stem) for p in held}
        if (
            whole
            and all(_layers(missing, branch, stem) > 1 for branch in branches)
            and not _is_between(recording, held, missing)
        ):
            return "they are a branch of their own, as the other player of a GAN is"
        return ""

    def _is_a_random_encoder(
        self, recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
    ) -> bool:
        """Tell whether layers that are held learn from nothing but what an untrained part makes."""
        return self._was_never_trained(recording, missing) and _is_all_they_read(
            recording, held, missing
        )

    def _was_never_trained(self, recording: Recording, missing: Sequence[Parameter]) -> bool:
        """Tell whether norms, or without any all vectors or matrices, are as they were made.

        A norm that has moved was trained, whatever the sizes of the matrices are.
        """
        vectors = [p for p in missing if len(p.shape) == 1 and p.size > 1]
        scaling = {name for site in recording.sites if "norm" in site.op for name in site.weights}
        norms = [p for p in vectors if p.name in scaling]
        if norms or (vectors and all(p.rms in {0.0, 1.0} for p in vectors)):
            return all(p.rms in {0.0, 1.0} for p in norms)
        return (
            sum(p.size for p in missing if len(p.shape) >= 2) >= self.min_entries_of_an_encoder
            and self._are_at_start(recording, missing)
            and _is_as_drawn(recording, missing, max_standard_errors=self.max_standard_errors)
        )

    def _are_at_start(self, recording: Recording, parameters: Sequence[Parameter]) -> bool:
        return are_at_start(
            parameters,
            embeddings(recording),
            max_standard_errors=self.max_standard_errors,
            min_entries=self.min_entries,
        )


def _only_tunes(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter], optimizer: str
) -> bool:
    """Tell whether nothing is held but what is tuned in a network that was trained before."""
    if all(p.name in embeddings(recording) for p in held):
        layers = any(len(p.shape) >= 2 for p in missing)
        return layers and optimizer.casefold() != "adagrad"
    names = {p.name for p in held}
    alone = any(site.weights and names.issuperset(site.weights) for site in recording.sites)
    return not alone and all(len(p.shape) == 1 for p in held)  # a norm can be trained alone


def _fed(recording: Recording) -> list[Parameter]:
    """Return the trainable parameters that a gradient other than zero reaches."""
    return [
        p
        for p in recording.parameters
        if p.requires_grad and p.has_grad and p.log10_grad_rms != -math.inf
    ]


def _depths(recording: Recording) -> dict[str, int]:
    """Return the depth of each parameter's first use between inputs and outputs."""
    sites, found = recording.sites, depths(recording)
    for parameter in recording.parameters:
        if parameter.name not in found:
            used = [sites[use.site] for use in parameter.uses if 0 <= use.site < len(sites)]
            reached = [site.depth for site in used if site.role is not Role.WEIGHT]
            if reached:
                found[parameter.name] = min(reached)
    return found


def _users(recording: Recording, names: set[str]) -> tuple[Site, ...]:
    return tuple(site for site in recording.sites if names & set(site.weights))


def _stem(parameters: Sequence[Parameter]) -> int:
    """Count the leading parts that all names share, as those of a wrapper."""
    paths = [p.name.split(".")[:-1] for p in parameters]
    levels = zip(*paths, strict=False)
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))


def _branch(parameter: Parameter, stem: int) -> str:
    return ".".join(parameter.name.split(".")[: stem + 1])


def _layers(parameters: Sequence[Parameter], branch: str, stem: int) -> int:
    """Count the weight matrices of a branch."""
    return sum(_branch(p, stem) == branch and len(p.shape) >= 2 for p in parameters)


def _replaced(recording: Recording, missing: Sequence[Parameter]) -> bool:
    """Tell whether the optimiser holds what a missing parameter was before it was made anew."""
    optimizer = recording.context.optimizer
    gone = [shape for shape in optimizer.foreign if len(shape) > 1] if optimizer else []
    shapes = [p.shape for p in missing if len(p.shape) > 1]
    return any(old[1:] == new[1:] for old in gone for new in shapes)


def _is_one_layer(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether one layer alone, or tables alone, are missing where others are held."""
    tables = embeddings(recording)
    layers = [p for p in missing if len(p.shape) >= 2 and p.name not in tables]
    others = [p for p in held if len(p.shape) >= 2 and p.name not in tables]
    alone = len(layers) <= 1 and not any(p.name in tables for p in missing)
    return len(others) >= 2 and (not layers or alone)


def _are_of_norms(recording: Recording, parameters: Sequence[Parameter]) -> bool:
    """Tell whether all parameters are gains, which are not zero, and shifts of norms."""
    norms = [site.weights for site in recording.sites if site.op in _NORMS and site.weights]
    gains = {weights[0] for weights in norms}
    names = {name for weights in norms for name in weights}
    return all(p.name in names and (p.rms > 0.0 or p.name not in gains) for p in parameters)


def _is_one_kind(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether all hidden matrices are missing, and what stands beside them is held."""
    if len(missing) < 2 or any(len(p.shape) < 2 for p in missing):
        return False
    depth, tables = _depths(recording), embeddings(recording)
    last = max(depth.values(), default=0)
    return all(
        len(p.shape) < 2 or p.name in tables or depth.get(p.name) in (1, last) for p in held
    ) and any(len(p.shape) < 2 for p in held)


def _is_untrained(missing: Sequence[Parameter]) -> bool:
    """Tell whether a vector with a gradient still holds nothing but ones or zeros."""
    return any(len(p.shape) == 1 and p.size > 1 and p.rms in {0.0, 1.0} for p in missing)


def _is_beside(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether what is missing joins one held branch on its way to another."""
    stem = _stem([*held, *missing])
    if {_branch(p, stem) for p in missing} & {_branch(p, stem) for p in held}:
        return False
    mine = _behind(recording, _places(recording, {p.name for p in missing}))
    branches: dict[str, set[int]] = {}
    for parameter in held:
        if len(parameter.shape) >= 2:
            places = branches.setdefault(_branch(parameter, stem), set())
            places |= _places(recording, {parameter.name})
    apart = {name: places for name, places in branches.items() if places and not places & mine}
    return any(
        places & mine and places & _behind(recording, before)
        for before in apart.values()
        for name, places in branches.items()
        if name not in apart
    )


def _is_below_a_head(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether one layer alone is held, and reads nothing but what is missing."""
    layers = [p for p in held if len(p.shape) >= 2]
    rest = [p for p in held if len(p.shape) < 2]
    body = _places(recording, {p.name for p in missing})
    head = _places(recording, {p.name for p in held})
    return (
        len(layers) == 1
        and len(rest) <= 1
        and bool(head)
        and sum(len(p.shape) >= 2 for p in missing) >= 2
        and head <= _behind(recording, body) - body
    )


def _is_by_axes(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether all kernels of convolutions are missing, the first one with them."""
    depth = _depths(recording)
    first = min((depth[p.name] for p in (*held, *missing) if p.name in depth), default=0)
    return (
        len(missing) >= 2
        and all(len(p.shape) >= 3 for p in missing)
        and all(len(p.shape) <= 2 for p in held)
        and any(len(p.shape) == 2 for p in held)
        and any(depth.get(p.name) == first for p in missing)
    )


def _meet_in_the_loss(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether what is missing and what is held share nothing before the loss."""
    mine = _places(recording, {p.name for p in missing})
    others = _places(recording, {p.name for p in held})
    shared = _behind(recording, mine) & _behind(recording, others)
    return (
        bool(mine)
        and bool(others)
        and bool(shared)
        and all(recording.sites[index].role is Role.LOSS for index in shared)
    )


def _is_as_drawn(
    recording: Recording, missing: Sequence[Parameter], *, max_standard_errors: float
) -> bool:
    """Tell whether weights, and biases that are not zero, have the size of their module's draw.

    It is narrower than `are_at_start`, which allows every matrix every start that PyTorch has:
    the matrices of a small trained network pass through one or the other.
    """
    own = {p.name: p for p in missing}
    for site in recording.signal_sites():
        used = [own[name] for name in site.weights if name in own]
        matrix = next((p for p in used if len(p.shape) >= 2), None)
        if matrix is None:
            continue
        is_table = "embedding" in site.op
        error = math.sqrt(0.5 if is_table else 0.2)  # of the rms of normal, and uniform, entries
        sizes = [1.0] if is_table else [1.0 / math.sqrt(3.0 * fan) for fan in _fans(site, matrix)]
        for parameter in (p for p in used if p.rms != 0.0 and p.size > 1):
            limit = max_standard_errors * error / math.sqrt(parameter.size)
            if not any(abs(parameter.rms / size - 1.0) <= limit for size in sizes):
                return False
    return True


def _fans(site: Site, matrix: Parameter) -> list[float]:
    """Return the n of U(-1/sqrt(n), 1/sqrt(n)) from which PyTorch may have drawn a matrix."""
    units, fan_in = matrix.shape[0], matrix.size / max(1, matrix.shape[0])
    gates = next((n for name, n in _GATES.items() if name in site.module), 0)
    if gates:
        return [max(1.0, units / gates)]
    is_attention = site.module == "MultiheadAttention"
    return [fan_in, *([(units + fan_in) / 6.0] if is_attention else [])]


def _is_all_they_read(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether missing layers stand before a network that is held, and feed all it gives.

    A judge is no such network: it sees what nobody made, or ends in one or two units.
    """
    shapes = {p.name: p.shape for p in held if len(p.shape) >= 2}
    sites = recording.sites
    mine = _layer_places(recording, {p.name for p in missing if len(p.shape) >= 2})
    layers = _layer_places(recording, set(shapes))
    others = layers | _places(recording, {p.name for p in held} - embeddings(recording))
    if not mine or mine & _behind(recording, others):
        return False
    behind = _behind(recording, mine)
    reaching = _before_the_loss(recording, layers)
    ends = reaching & layers
    last = {name for index in ends for name in sites[index].weights if name in shapes}
    hidden = {name for index in layers & behind for name in sites[index].weights}
    return (
        bool(ends)
        and ends <= behind
        and not reaching & mine
        and bool((hidden & shapes.keys()) - last)
        and all(min(shapes[name][:2]) > _JUDGEMENT for name in last)
    )


def _layer_places(recording: Recording, names: set[str]) -> set[int]:
    """Return where the matrices of these names multiply, and are not looked up by row."""
    return {
        index for index in _places(recording, names) if "embedding" not in recording.sites[index].op
    }


def _before_the_loss(recording: Recording, until: set[int]) -> set[int]:
    """Return the steps whose results reach the loss past none of some, and of those the last."""
    edges = sorted(recording.edges, key=lambda edge: edge.consumer, reverse=True)
    found = {edge.consumer for edge in edges} - {edge.producer for edge in edges}
    for edge in edges:
        if edge.consumer in found and edge.consumer not in until:
            found.add(edge.producer)
    return found


def _behind(recording: Recording, places: set[int]) -> set[int]:
    """Return some steps and all that is made of them."""
    found = set(places)
    for edge in sorted(recording.edges, key=lambda edge: edge.consumer):
        if edge.producer in found:
            found.add(edge.consumer)
    return found


def _is_between(
    recording: Recording, held: Sequence[Parameter], missing: Sequence[Parameter]
) -> bool:
    """Tell whether what is missing both reads and feeds layers that are held."""
    mine = _places(recording, {p.name for p in missing})
    others = _places(recording, {p.name for p in held})
    return bool(_behind(recording, others) & mine) and bool(_behind(recording, mine) & others)


def _places(recording: Recording, names: set[str]) -> set[int]:
    return {site.index for site in recording.signal_sites() if names & set(site.weights)}
