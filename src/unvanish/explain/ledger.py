r"""The exact ledger: how many decades every operation took on the way from the loss.

With delta_M the gradient that arrives at site M, and c_e what use e of M's output sends back,

    log |delta_M| - log |delta_loss| = sum over a path of [ log |c_e| / |delta_N|      (operation)
                                                          + log |delta_M| / |c_e| ]    (merge)

along *every* path: each bracket is a ratio of measured norms, so the sum telescopes. The ledger
follows the strongest use from the target upwards. Where several come together,

    log |delta| / |c_1| = 1/2 log(1 + r^2)  +  1/2 log(|delta|^2 / sum |c_i|^2),
                          (branch energy)      (interference)

with r^2 = sum over the others of |c_i|^2 / |c_1|^2. Places that all paths run through (dominators)
end the blocks, so that what a block did depends on no choice of path. Where the path runs through
three or more calls of a repeated part, every call is a block: a recurrence reads step by step.
Parts of one output, as the gates of a cell or the steps of a sequence, have entries of their own:
that the others come back where they were taken out is layout, not branches. Where a hook of the
user's changes what arrives, its ratio stands between the merge and the operation below.

Source: the telescoping identity is elementary; blocks by immediate dominators after Cooper,
Harvey and Kennedy (2001).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import dropwhile, groupby, pairwise, takewhile
from typing import Final

from unvanish.core.explanations import Explanation, Factor, Level, Term, total
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site
from unvanish.explain.axes import axes
from unvanish.explain.composites import collapsed
from unvanish.explain.dominators import dominators
from unvanish.explain.factors import Book, operation, projects, rounded_apart, rounding
from unvanish.explain.factors.pooling import PARTS
from unvanish.explain.folding import folded, group
from unvanish.explain.parameters import parameter_terms
from unvanish.explain.prediction import predict
from unvanish.explain.steps import Clock, Label


def explain_site(recording: Recording, target: int, *, code: str = "") -> Explanation:
    """Return the ledger between the loss and one site, and what stands beside it.

    Args:
        recording: What was observed.
        target: Index of the site.
        code: Code of the finding it explains.

    Raises:
        ValueError: If no gradient was measured at the site.
    """
    recording = collapsed(recording)
    ledger = ledger_of(recording, target)
    site = recording.sites[target]
    return Explanation(
        code=code,
        target=target,
        name=site.name,
        ledger=ledger,
        parameters=tuple(
            parameter_terms(recording, p.name)
            for p in recording.parameters
            if p.name in site.weights and p.has_grad
        ),
        prediction=predict(recording, target),
        axes=axes(recording),
    )


def ledger_of(recording: Recording, target: int) -> Term:
    """Return the tree alone.

    Args:
        recording: What was observed.
        target: Index of the site.

    Raises:
        ValueError: If no gradient was measured at the site.
    """
    if target not in recording[Quantity.LOG10_LEDGER_GRAD_NORM]:
        raise ValueError(
            f"no gradient was measured at site {target}, so that there is nothing to explain"
        )
    recording = collapsed(recording)
    tracks = _Tracks(recording)
    steps = tracks.steps(target)
    return Term(
        level=Level.NETWORK,
        name=recording.sites[target].name,
        log10_gain=tracks.between(steps) if steps else 0.0,
        sites=(target,),
        children=tuple(folded(recording, _blocks(recording, steps))),
    )


def operations_of(recording: Recording, target: int) -> list[Term]:
    """Return the operations alone on the way that the ledger follows, the loss left out.

    Args:
        recording: What was observed.
        target: Index of the site.

    Returns:
        From the output towards the target, as they stand in the ledger.
    """
    recording = collapsed(recording)
    steps = dropwhile(
        lambda step: recording.sites[step.top].role is Role.LOSS, _Tracks(recording).steps(target)
    )
    return [term for step in steps for term in step.terms if term.level is Level.OPERATION]


_NEARLY: Final = 0.5
"""Decades: a third of the strongest use's gradient."""


_DISJOINT: Final = 1e-5
"""Decades between the energies of parts and of the whole: rounding in float32."""


class _Step:
    """From one dominator down to the next."""

    def __init__(
        self, top: int, bottom: int, terms: Sequence[Term], *, parallel: bool, rounding: float
    ) -> None:
        self.top = top
        self.bottom = bottom
        self.terms = tuple(terms)
        self.parallel = parallel
        self.rounding = rounding


class _Tracks:
    """The measured norms and the uses of every output."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.book = Book(recording)
        self.norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        self.hooks = recording[Quantity.LOG10_HOOK_GAIN]
        self._below = math.nan
        self.uses: dict[int, list[Edge]] = {}
        for edge in recording.edges:
            if edge.consumer in self.norms and edge.producer in self.norms:
                self.uses.setdefault(edge.producer, []).append(edge)

    def sent(self, edge: Edge) -> float:
        """Return log10 of the norm of what one use sends back."""
        return self.norms[edge.consumer] + edge.log10_gain

    def between(self, steps: Sequence[_Step]) -> float:
        """Return the measured decades over some steps, rounding included."""
        above, below = self.norms[steps[0].top], self.norms[steps[-1].bottom]
        rounded = math.fsum(step.rounding for step in steps)
        return (0.0 if above == below else below - above) + rounded

    def steps(self, target: int) -> list[_Step]:
        """Return the way from the loss to the target, dominator by dominator."""
        consumers = {site: [e.consumer for e in edges] for site, edges in self.uses.items()}
        chain = dominators(target, consumers)
        rounded = rounding(self.recording, chain)
        found = [
            self._step(top, bottom, lost)
            for (top, bottom), lost in reversed(list(zip(pairwise(chain), rounded, strict=True)))
        ]
        return found[::-1]

    def _rounded(self, edges: Sequence[Edge], strongest: Edge) -> float:
        """Return what rounding took since the last site below that float64 was looked at, too."""
        ratios = self.recording[Quantity.LOG10_LEDGER_ROUNDING]
        below = ratios.get(strongest.producer, self._below) if len(edges) == 1 else math.nan
        here = ratios.get(strongest.consumer)
        self._below = below if math.isnan(here) else here
        return below - here

    def _step(self, top: int, bottom: int, rounded: float) -> _Step:
        terms: list[Term] = []
        parallel = False
        here = bottom
        while here != top:
            edges = self.uses[here]
            strongest = self._followed(edges)
            hook = self.hooks.get(here, 0.0)
            if hook:
                terms.append(_hook(self.recording.sites[here], hook))
            if len(edges) > 1 or abs(self.sent(strongest) + hook - self.norms[here]) > 1e-12:
                merge = self._merge(here, edges, strongest, hook)
                parallel |= len(edges) > 1
                if merge is not None:
                    terms.append(merge)
            if self.norms[strongest.consumer] != -math.inf:  # else nothing arrives there
                term = operation(self.book, strongest)
                terms.append(rounded_apart(term, self._rounded(edges, strongest)))
            here = strongest.consumer
        terms.reverse()
        if rounded:
            terms.append(_factor(Factor.PRECISION, rounded, bottom))
        return _Step(top, bottom, terms, parallel=parallel, rounding=rounded)

    def _followed(self, edges: Sequence[Edge]) -> Edge:
        """Return the strongest use, or one nearly as strong that is no place in a stack.

        What one step of a stack holds of the gradient of all steps together says nothing of
        what any operation does; the way over time does.
        """
        strongest = max(edges, key=lambda e: (self.sent(e), e.consumer))
        if self.recording.sites[strongest.consumer].op == "stack":
            nearly = [
                e
                for e in edges
                if self.recording.sites[e.consumer].op != "stack"
                and self.sent(e) >= self.sent(strongest) - _NEARLY
            ]
            return max(nearly, key=self.sent, default=strongest)
        return strongest

    def _are_parts(self, here: int, edges: Iterable[Edge]) -> bool:
        """Tell whether the uses of an output are parts of it, each with entries of its own."""
        sites = self.recording.sites
        return sites[here].op in PARTS or all(sites[e.consumer].op in PARTS for e in edges)

    def _merge(self, here: int, edges: Sequence[Edge], strongest: Edge, hook: float) -> Term | None:
        """Return what coming together does to the strongest contribution, before any hook."""
        site, first = self.recording.sites[here], self.sent(strongest)
        whole = self.norms[here] - hook - first
        if not math.isfinite(whole):
            return None  # exactly zero, or nothing finite: the operation below says so
        others = [10 ** (2 * (self.sent(e) - first)) for e in edges if e is not strongest]
        energy = 0.5 * math.log10(1.0 + math.fsum(others))
        leaves = []
        if projects(self.book, edges):
            leaves.append((Factor.NORM_PROJECTION, whole))
        elif len(edges) > 1 and not (
            abs(whole - energy) < _DISJOINT and self._are_parts(here, edges)
        ):
            leaves.append((Factor.BRANCH_ENERGY, energy))
            leaves.append((Factor.INTERFERENCE, whole - energy))
        else:
            leaves.append((Factor.LAYOUT, whole))  # parts beside each other, as before a stack
        names = [(self.recording.sites[e.consumer].name, e.share) for e in edges]
        return Term(
            level=Level.MERGE,
            name=f"{len(edges)} uses of {site.name}" if len(edges) > 1 else site.name,
            log10_gain=whole,
            sites=(here,),
            shares=tuple(names) if len(edges) > 1 else (),
            children=tuple(_factor(factor, gain, here) for factor, gain in leaves),
        )


def _hook(site: Site, gain: float) -> Term:
    """Return what a hook makes of the gradient that arrives at a step."""
    return Term(
        level=Level.OPERATION,
        name=f"hook on {site.name}",
        log10_gain=gain,
        sites=(site.index,),
        children=(_factor(Factor.HOOK, gain, site.index),),
    )


def _factor(factor: Factor, gain: float, site: int) -> Term:
    return Term(level=Level.FACTOR, name=str(factor), log10_gain=gain, factor=factor, sites=(site,))


def _blocks(recording: Recording, steps: Iterable[_Step]) -> list[Term]:
    """Gather steps: the loss, then one block a layer or a pair of parallel paths."""
    blocks: list[tuple[Term, Label | None]] = []
    waiting: list[Term] = []
    in_loss, now = True, None
    steps = list(steps)
    times = _times(recording, steps)

    def close() -> None:
        if waiting:
            blocks.append((_block(recording, waiting, in_loss=in_loss, time=now), now))
            waiting.clear()

    for step in steps:
        site = recording.sites[step.top]
        if in_loss and site.role is not Role.LOSS:
            close()
            in_loss = False
        if step.parallel and not in_loss and now is None:
            close()
        for term in step.terms:
            then = None if in_loss else times.get(term.sites[0])
            if then != now:
                close()
                now = then
            waiting.append(term)
        if not in_loss and now is None and (step.parallel or site.weights):
            close()
    close()
    return _stepwise(recording, blocks)


def _times(recording: Recording, steps: Iterable[_Step]) -> dict[int, Label]:
    """Return the time step of every site on the path, where it runs through at least three."""
    clock = Clock(recording)
    sites = {term.sites[0] for step in steps for term in step.terms}
    found = {site: label for site in sites if (label := clock.step(site)) is not None}
    seen: dict[int, set[int]] = {}
    for part, time in found.values():
        seen.setdefault(part, set()).add(time)
    return {site: label for site, label in found.items() if len(seen[label[0]]) > 2}


def _stepwise(recording: Recording, blocks: Iterable[tuple[Term, Label | None]]) -> list[Term]:
    """Put the time steps of one recurrence under one term."""
    found: list[Term] = []
    for part, run in groupby(blocks, key=lambda block: block[1] and block[1][0]):
        terms = [term for term, _ in run]
        if part is None or len(terms) < 3:
            found.extend(terms)
            continue
        ops = terms[len(terms) // 2].name.partition("(")[2].rstrip(")")
        paths = {recording.sites[i].path for term in terms for i in term.sites}
        place = ".".join(_common([own.split(".") for own in paths]))
        name = f"step of {place} ({ops})" if place else f"step ({ops})"
        found.append(group(name, len(terms), terms))
    return found


def _block(
    recording: Recording, terms: Sequence[Term], *, in_loss: bool, time: Label | None
) -> Term:
    sites = tuple(dict.fromkeys(i for term in terms for i in term.sites))
    name = "loss" if in_loss else _name(recording.sites[i] for i in sites)
    if time is not None:
        ops = dict.fromkeys(recording.sites[i].op for i in reversed(sites))
        name = f"step {time[1]} ({', '.join(ops)})"
    return Term(
        level=Level.LOSS if in_loss else Level.BLOCK,
        name=name,
        log10_gain=total([term.log10_gain for term in terms]),
        sites=sites,
        children=tuple(terms),
    )


def _name(sites: Iterable[Site]) -> str:
    """Return what a person would call a few steps: their module, or their operations."""
    sites = list(sites)
    ops = list(dict.fromkeys(s.op for s in reversed(sites)))
    paths = list(dict.fromkeys(s.path for s in reversed(sites) if s.path))
    said = ", ".join(ops) if len(ops) <= 3 else f"{len(sites)} operations"
    if not paths:
        return said
    if len(paths) == 1:
        return f"{paths[0]} {said}"
    shared = ".".join(_common([path.split(".") for path in paths]))
    if shared and shared.split(".")[-1].isdigit():
        return f"{shared} ({said})"
    return f"{paths[0]} to {paths[-1]} ({said})"


def _common(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the module names that all paths begin with."""
    columns = zip(*paths, strict=False)
    return [names[0] for names in takewhile(lambda names: len(set(names)) == 1, columns)]
