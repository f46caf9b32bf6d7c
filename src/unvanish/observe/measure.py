"""From looks to plain numbers: profiles merged over batches, and one record a parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import islice
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut
from unvanish.core.records import Parameter, Profile, Site, Use
from unvanish.observe.authors import left_out_by_design
from unvanish.observe.backward import Gradients, ParameterGradient
from unvanish.observe.blind import blinding_cuts
from unvanish.observe.derivatives import lost_derivatives
from unvanish.observe.draws import fed_by_draws
from unvanish.observe.graph import Graph
from unvanish.observe.lineage import EXPORTS, Lineage
from unvanish.observe.look import Look
from unvanish.observe.narrowing import carried_in, lost_fraction
from unvanish.observe.optimizer import Update
from unvanish.observe.silent import dead_fractions, expected_fractions, join_calls
from unvanish.observe.statistics.magnitude import LOG10_2, dense_values, log10_norm
from unvanish.observe.statistics.samples import MAX_SAMPLES
from unvanish.observe.statistics.symmetry import distinct_fraction, fingerprint

SMALLEST: Final = {"float16": -25, "bfloat16": -134, "float32": -150}
"""log2 of half the smallest subnormal number: anything below rounds to zero."""

_NO_UPDATE: Final = Update(math.nan, math.nan)

_NO_HOOK: Final = 1e-6
"""Decades; a hook that changes less reads the gradient and leaves it as it is."""

SiteKey = tuple[str, str, int, tuple[str, ...]]


def site_key(site: Site) -> SiteKey:
    """Return what identifies the same step in two looks at the same network."""
    return (site.path, site.op, site.call, site.weights)


def positions(source: Graph, target: Graph) -> dict[int, int]:
    """Map site indices of one look to those of another look at the same network."""
    if [s.op for s in source.sites] == [s.op for s in target.sites]:
        return {i: i for i in range(len(source.sites))}
    places = {site_key(site): site.index for site in target.sites}
    return {site.index: places[site_key(site)] for site in source.sites if site_key(site) in places}


def merge_rms(log10_values: Sequence[float]) -> float:
    """Combine root mean squares of several batches: log10 sqrt(mean(10^(2 x)))."""
    largest = max(log10_values)
    if math.isnan(sum(log10_values)):
        return math.nan
    if largest == -math.inf:
        return -math.inf
    total = sum(10 ** (2 * (x - largest)) for x in log10_values)
    return largest + 0.5 * math.log10(total / len(log10_values))


def grad_profile(graph: Graph, norms: Mapping[int, float]) -> dict[int, float]:
    """Turn norms into root mean squares: log10 |g| - log10 sqrt(size)."""
    return {i: norm - 0.5 * math.log10(max(1, graph.sites[i].size)) for i, norm in norms.items()}


def forward_profiles(looks: Sequence[Look]) -> dict[Quantity, Profile]:
    """Merge the forward statistics of all batches on the sites of the first."""
    first = looks[0]
    collected: dict[Quantity, dict[int, list[float]]] = {}
    alive: dict[int, Tensor] = {}
    alike: dict[str, dict[int, list[float]]] = {"cosine": {}, "directions": {}}
    # Data that stands in the network is the same in every look.
    samples = max(1, sum(look.samples for look in (looks[:1] if first.tape.counts else looks)))
    for look in looks:
        place = positions(look.graph, first.graph)
        rows: list[tuple[Quantity | str, int, float | Tensor]] = []
        for i, note in enumerate(look.graph.notes):
            if i not in place:
                continue
            rows.extend((quantity, place[i], value) for quantity, value in note.values.items())
            if note.cosine_before is not None and note.directions_before is not None:
                rows.append(("cosine", place[i], note.cosine_before))
                rows.append(("directions", place[i], note.directions_before))
            if note.alive is not None:
                _merge_alive(alive, place[i], note.alive)
        for (quantity, i, _), value in zip(rows, _to_floats(v for *_, v in rows), strict=True):
            if isinstance(quantity, Quantity):
                collected.setdefault(quantity, {}).setdefault(i, []).append(value)
            else:
                alike[quantity].setdefault(i, []).append(value)
    profiles = {
        quantity: Profile(quantity, {i: _merged(quantity, values) for i, values in row.items()})
        for quantity, row in collected.items()
    }
    if alive:
        groups = join_calls(first.graph, alive)
        dead = dead_fractions(groups, alive)
        likeness = {
            i: (_mean(row, otherwise=1.0), _mean(alike["directions"][i], otherwise=0.0))
            for i, row in alike["cosine"].items()
        }
        compared = max(1, min(MAX_SAMPLES, *(look.samples for look in looks)))
        expected = expected_fractions(groups, likeness, samples, compared)
        profiles[Quantity.DEAD_FRACTION] = Profile(Quantity.DEAD_FRACTION, dead)
        profiles[Quantity.EXPECTED_DEAD_FRACTION] = Profile(
            Quantity.EXPECTED_DEAD_FRACTION, expected
        )
    return profiles


def _mean(values: list[float], *, otherwise: float) -> float:
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else otherwise


def _merge_alive(alive: dict[int, Tensor], i: int, mask: Tensor) -> None:
    known = alive.get(i)
    if known is None or known.shape != mask.shape:
        alive[i] = mask
    else:
        alive[i] = known | mask


def _merged(quantity: Quantity, values: list[float]) -> float:
    worst = quantity in (Quantity.NON_FINITE_FRACTION, Quantity.SLOPE_MAX)
    return max(values) if worst else sum(values) / len(values)


def _to_floats(values: Iterable[float | Tensor]) -> list[float]:
    """Read many 0-d tensors with one transfer."""
    values = list(values)
    tensors = [v.reshape(()).double() for v in values if isinstance(v, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(v, Tensor) else float(v) for v in values]


def gradient_profiles(looks: Sequence[Look], *, on: Look) -> dict[Quantity, Profile]:
    """Merge the gradient statistics of all batches on the sites of the look `on`."""
    rows: dict[Quantity, dict[int, list[float]]] = {}
    for look in looks:
        place = positions(look.graph, on.graph)
        for quantity, norms in (
            (Quantity.LOG10_ACTIVATION_GRAD_RMS, look.gradients.log10_norms),
            (Quantity.LOG10_PROBE_GRAD_RMS, look.probe.log10_norms if look.probe else {}),
            (Quantity.LOG10_LAST_STEP_GRAD_RMS, look.last_step),
        ):
            for i, value in grad_profile(look.graph, norms).items():
                if i in place:
                    rows.setdefault(quantity, {}).setdefault(place[i], []).append(value)
    profiles = {
        quantity: Profile(quantity, {i: merge_rms(values) for i, values in row.items()})
        for quantity, row in rows.items()
    }
    bad: dict[int, float] = {}
    ranks: dict[int, list[float]] = {}
    for look in looks:
        place = positions(look.graph, on.graph)
        for i, rank in (look.probe.ranks if look.probe else {}).items():
            if i in place:
                ranks.setdefault(place[i], []).append(rank)
        for i, value in look.gradients.non_finite.items():
            if i in place:
                bad[place[i]] = max(bad.get(place[i], 0.0), value)
    if ranks:
        profiles[Quantity.GRAD_EFFECTIVE_RANK] = Profile(
            Quantity.GRAD_EFFECTIVE_RANK, {i: sum(row) / len(row) for i, row in ranks.items()}
        )
    if Quantity.LOG10_ACTIVATION_GRAD_RMS in profiles:
        arrived = profiles[Quantity.LOG10_ACTIVATION_GRAD_RMS].values
        profiles[Quantity.NON_FINITE_GRAD_FRACTION] = Profile(
            Quantity.NON_FINITE_GRAD_FRACTION, {i: bad.get(i, 0.0) for i in arrived}
        )
    return profiles


def ledger_profiles(walked: Look, first: Look, deep: Look | None) -> dict[Quantity, Profile]:
    """Return the norms that the gains of the edges belong to, and the factors of single steps.

    Args:
        walked: The look whose edges are recorded.
        first: The plain look, in the types of the run.
        deep: The look in float64 with exponents kept; None where none was made.
    """
    rows: dict[Quantity, dict[int, float]] = {
        Quantity.LOG10_LEDGER_GRAD_NORM: dict(walked.gradients.log10_norms),
        **walked.gradients.local,
    }
    if hooks := _hook_gains(walked.gradients):
        rows[Quantity.LOG10_HOOK_GAIN] = hooks
    if deep is not None and deep.graph is not first.graph and _is_rounded(first):
        plain, wide = first.gradients.log10_norms, deep.gradients.log10_norms
        where = Quantity.LOG10_LEDGER_ROUNDING
        if walked is deep:
            where = Quantity.LOG10_ROUNDED_GRAD_RATIO
        rows[where] = {
            own: plain[own] - wide[its]
            for its, own in positions(deep.graph, first.graph).items()
            if math.isfinite(plain.get(own, math.nan)) and math.isfinite(wide.get(its, math.nan))
        }
    return {quantity: Profile(quantity, row) for quantity, row in rows.items() if row}


def _hook_gains(gradients: Gradients) -> dict[int, float]:
    """Return what hooks made of what arrived, where they made something else of it."""
    found = {
        i: gradients.log10_norms.get(i, math.nan) - before
        for i, before in gradients.before_hooks.items()
        if math.isfinite(before)
    }
    return {i: gain for i, gain in found.items() if abs(gain) > _NO_HOOK}


def _is_rounded(look: Look) -> bool:
    return any(note.low_precision for note in look.graph.notes)


def parameter_records(
    model: nn.Module,
    look: Look,
    gradients: Gradients,
    *,
    uses_from: Look,
    held: frozenset[str] | None,
    updates: Mapping[str, Update],
) -> tuple[Parameter, ...]:
    """Return one record a parameter tensor, in the order of ``named_parameters()``.

    Args:
        model: The model itself.
        look: The first look, for lineage.
        gradients: Whose parameter gradients to report; those of the extended pass where
            one was needed.
        uses_from: The look whose graph `gradients` belongs to.
        held: Names of the parameters the user's optimiser holds, or None.
        updates: Name to what the first optimiser step did.
    """
    aliases: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), []).append(name)
    used, feeding = _reach(look)
    asking = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    lost = (asking & feeding) - look.gradients.parameters.keys()
    left_out = left_out_by_design(model, look, lost)
    uses = _uses(gradients, uses_from.graph, look.graph)
    embeddings = {name for s in uses_from.graph.sites if s.op == "embedding" for name in s.weights}
    narrow = carried_in(look)
    records = []
    for name, parameter in model.named_parameters():
        # The pass with exponents kept runs no backward pass inside of another one.
        grad = gradients.parameters.get(name) or look.gradients.parameters.get(name)
        stats = _gradient_stats(grad, touched_rows=name in embeddings)
        update = updates.get(name, _NO_UPDATE)
        numeric = parameter.is_floating_point() or parameter.is_complex()
        carried = narrow.get(name, "") if parameter.element_size() > 2 else ""
        plain = look.gradients.parameters.get(name)
        values = dense_values(parameter) if numeric else parameter
        rms = log10_norm(values) - 0.5 * math.log10(max(1, values.numel())) if numeric else math.nan
        records.append(
            Parameter(
                name=name,
                aliases=tuple(aliases[id(parameter)][1:]),
                shape=tuple(parameter.shape),
                requires_grad=parameter.requires_grad,
                in_optimizer=None if held is None else name in held,
                used=name in used or grad is not None,
                feeds_loss=name in feeding or grad is not None,
                has_grad=grad is not None,
                rms=10**rms if math.isfinite(rms) else (0.0 if rms == -math.inf else math.nan),
                log10_grad_rms=stats[0],
                log10_hook_gain=look.gradients.parameter_hooks.get(name, 0.0),
                zero_fraction=stats[1],
                non_finite_fraction=stats[2],
                underflow_fraction=stats[3],
                carried_in=carried,
                lost_fraction=lost_fraction(plain, grad) if carried else math.nan,
                uses=uses.get(name, ()),
                update_ratio=update.ratio,
                turn_ratio=update.turn,
                moved_fraction=update.moved,
                kept_fraction=update.kept,
                learning_rate=update.learning_rate,
                distinct_fraction=distinct_fraction(values) if numeric else math.nan,
                fingerprint=fingerprint(values)
                if numeric and values.ndim > 1 and parameter.requires_grad
                else math.nan,
                distinct_column_fraction=distinct_fraction(values.T)
                if numeric and values.ndim == 2
                else math.nan,
                left_out_by=left_out.get(name, ""),
            )
        )
    return tuple(records)


def cuts(look: Look, by_design: Set[str] = frozenset(), *, most: int = 20) -> tuple[Cut, ...]:
    """Return the calls at which the gradient of parameters is cut on the way to the loss.

    Args:
        look: The look.
        by_design: Names of the parameters that a library cuts off by its own design. A cut
            behind them is placed in the library's line; every other one in the user's.
        most: How many to return at most.
    """
    lineage = look.tape.lineage
    end = lineage.maker(look.loss)
    if end is None:
        return ()
    upstream = lineage.upstream([end])
    exported = _exported(lineage, upstream)
    designed = _fed_by(lineage, by_design, max(upstream))
    blinding = blinding_cuts(lineage, end)
    feeding = fed_by_draws(lineage, end)
    places: dict[Cut, list[int]] = {}
    for index in sorted(upstream):
        call = lineage.calls[index]
        if call.cuts or call.hidden:
            under = call.under
            if call.op == "detach" and index in exported:
                under = "export"
            package = call.package if index in designed else ""
            source = call.within if package else call.source
            blinds = index in blinding
            place = Cut(call.op, call.path, source, (), under, call.hidden, package, blinds)
            places.setdefault(place, []).append(index)
    named = {name for call in lineage.calls for name in call.parameters}
    starved = _fed_by(lineage, named - look.gradients.parameters.keys(), max(upstream))
    # Cuts that leave somebody without a gradient come first, each kind in forward order.
    wanted = sorted(
        places.items(),
        key=lambda item: (
            not item[0].blinds,
            starved.isdisjoint(item[1]),
            feeding.keys().isdisjoint(item[1]),
        ),
    )
    found = []
    for place, indices in islice(wanted, most):
        names: dict[str, None] = {}
        for above in sorted(lineage.upstream(indices)):
            names.update(dict.fromkeys(lineage.calls[above].parameters))
        feeds = dict.fromkeys(name for one in indices for name in feeding.get(one, ()))
        found.append(replace(place, parameters=tuple(names), feeds=tuple(feeds)))
    return (*found, *lost_derivatives(lineage, end))


def _fed_by(lineage: Lineage, parameters: Set[str], last: int) -> set[int]:
    """Return the calls, up to the last that counts, whose values come from some parameters."""
    found: set[int] = set()
    if not parameters:
        return found
    for index, call in enumerate(lineage.calls[: last + 1]):
        if not (parameters.isdisjoint(call.parameters) and found.isdisjoint(call.parents)):
            found.add(index)
    return found


def _exported(lineage: Lineage, upstream: Set[int]) -> set[int]:
    """Return the calls whose values go on to numpy or Python numbers and come back.

    A number is followed by its value. An array shares the memory of its tensor, and comes
    back as a tensor that no call was seen to make.
    """
    back = {
        parent
        for index in upstream
        if lineage.calls[index].op == "Variable"
        for parent in lineage.calls[index].parents
    }
    exports = [
        index
        for index, call in enumerate(lineage.calls)
        if call.op in EXPORTS and (index in upstream or back.intersection(call.parents))
    ]
    return lineage.upstream(exports)


def _reach(look: Look) -> tuple[set[str], set[str]]:
    """Names of the parameters that were used, and of those whose value reaches the loss."""
    lineage = look.tape.lineage
    used = {name for call in lineage.calls for name in call.parameters}
    end = lineage.maker(look.loss)
    upstream = lineage.upstream([end]) if end is not None else set()
    return used, {name for index in upstream for name in lineage.calls[index].parameters}


def _uses(gradients: Gradients, graph: Graph, target: Graph) -> dict[str, tuple[Use, ...]]:
    place = positions(graph, target)
    uses: dict[str, list[Use]] = {}
    for row in graph.links:
        for link in row:
            key = (link.consumer, link.position)
            if link.parameter is None or key not in gradients.contributions:
                continue
            size = 1
            for extent in graph.leaf_shapes.get(link.parameter, ()):
                size *= extent
            log10_rms = gradients.contributions[key] - 0.5 * math.log10(max(1, size))
            if link.consumer in place:
                uses.setdefault(link.parameter, []).append(Use(place[link.consumer], log10_rms))
    return {name: tuple(found) for name, found in uses.items()}


def _gradient_stats(
    grad: ParameterGradient | None, *, touched_rows: bool
) -> tuple[float, float, float, dict[str, float]]:
    """Return log10 rms, share of zeros, share of non-finite entries, underflow by type."""
    if grad is None:
        return math.nan, math.nan, 0.0, {}
    values = dense_values(grad.tensor)
    if values.numel() == 0:
        return -math.inf, 1.0, 0.0, {}
    log10 = log10_norm(values) + grad.exponent * LOG10_2 - 0.5 * math.log10(values.numel())
    if math.isnan(log10):
        bad = 1.0 - float(torch.isfinite(values).double().mean())
        return math.nan, math.nan, bad, {}
    size = values.abs()
    if size.dtype in (torch.float16, torch.bfloat16):
        size = size.float()  # the limits below lie outside the range of the short types
    if touched_rows and size.ndim > 1:
        rows = size.flatten(1).amax(1) > 0
        size = size[rows]
    count = max(1, size.numel())
    non_zero = int(torch.count_nonzero(size))
    underflow = {}
    for dtype, log2 in SMALLEST.items():
        shifted = log2 - grad.exponent
        limit = math.ldexp(1.0, shifted) if shifted < 1000 else math.inf
        below = int(torch.count_nonzero(size < limit)) - (count - non_zero)
        underflow[dtype] = max(0, below) / non_zero if non_zero and limit > 0 else 0.0
    return log10, 1.0 - non_zero / count, 0.0, underflow
