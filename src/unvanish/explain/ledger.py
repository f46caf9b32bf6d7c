r"""The exact ledger: how many decades every operation took on the way from the loss.

With delta_M the gradient that arrives at site M, and c_e what use e of M's output sends back,

    log |delta_M| - log |delta_loss| = sum over a path of [ log |c_e| / |delta_N|      (operation)
                                                          + log |delta_M| / |c_e| ]    (merge)

along *every* path: each bracket is a ratio of measured norms, so the sum telescopes. The ledger
follows the strongest use from the target upwards. Where several come together,

    log |delta| / |c_1| = 1/2 log(1 + r^2)  +  1/2 log(|delta|^2 / sum |c_i|^2),
                          (branch energy)      (interference)

with r^2 = sum over the others of |c_i|^2 / |c_1|^2. Places that all paths run through (dominators)
end the blocks, so that what a block did depends on no choice of path.

Source: the telescoping identity is elementary; blocks by immediate dominators after Cooper,
Harvey and Kennedy (2001).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile

from unvanish.core.explanations import Explanation, Factor, Level, ParameterTerms, Term, total
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site
from unvanish.explain.dominators import dominators
from unvanish.explain.factors import operation
from unvanish.explain.prediction import predict


def explain_site(recording: Recording, target: int, *, code: str = "") -> Explanation:
    """Return the ledger between the loss and one site.

    Args:
        recording: What was observed.
        target: Index of the site.
        code: Code of the finding it explains.

    Raises:
        ValueError: If no gradient was measured at the site.
    """
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    if target not in norms:
        raise ValueError(
            f"no gradient was measured at site {target}, so that there is nothing to explain"
        )
    book = _Book(recording)
    steps = book.steps(target)
    blocks = _folded(_blocks(recording, steps))
    site = recording.sites[target]
    ledger = Term(
        level=Level.NETWORK,
        name=site.name,
        log10_gain=book.between(steps[0].top, target) if steps else 0.0,
        sites=(target,),
        children=tuple(blocks),
    )
    return Explanation(
        code=code,
        target=target,
        name=site.name,
        ledger=ledger,
        parameters=tuple(
            parameter_terms(recording, p.name)
            for p in recording.parameters
            if p.name in site.weights and len(p.shape) > 1
        ),
        prediction=predict(recording, target, ledger),
    )


def parameter_terms(recording: Recording, name: str) -> ParameterTerms:
    """Return the three factors of one parameter's gradient.

    Args:
        recording: What was observed.
        name: Name of the parameter.

    Raises:
        KeyError: If there is no such parameter.
    """
    parameter = next((p for p in recording.parameters if p.name == name), None)
    if parameter is None:
        raise KeyError(name)
    whole = parameter.log10_grad_rms + 0.5 * math.log10(max(1, parameter.size))
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    users = [s for s in recording.signal_sites() if name in s.weights and s in norms]
    strongest = max(users, key=lambda s: norms[s], default=None)
    backward = forward = math.nan
    if strongest is not None:
        backward = norms[strongest]
        forward = _log10_input_norm(recording, strongest)
    return ParameterTerms(
        name=name,
        log10_grad_norm=whole,
        log10_backward=backward,
        log10_forward=forward,
        log10_coherence=whole - backward - forward,
    )


def _log10_input_norm(recording: Recording, site: Site) -> float:
    sizes = recording[Quantity.ACTIVATION_RMS]
    for edge in recording.edges:
        producer = recording.sites[edge.producer]
        if edge.consumer == site.index and producer.role is Role.SIGNAL:
            rms = sizes.get(producer)
            if rms > 0.0:
                return math.log10(rms) + 0.5 * math.log10(max(1, producer.size))
    data = next((d for d in recording.data if d.site == site.index and d.rms > 0.0), None)
    if data is not None:
        return math.log10(data.rms) + 0.5 * math.log10(max(1, math.prod(data.shape)))
    return math.nan


class _Step:
    """From one dominator down to the next."""

    def __init__(self, top: int, bottom: int, terms: Sequence[Term], *, parallel: bool) -> None:
        self.top = top
        self.bottom = bottom
        self.terms = tuple(terms)
        self.parallel = parallel


class _Book:
    """The measured norms and the uses of every output."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        self.parameters = {p.name: p for p in recording.parameters}
        self.uses: dict[int, list[Edge]] = {}
        for edge in recording.edges:
            if edge.consumer in self.norms and edge.producer in self.norms:
                self.uses.setdefault(edge.producer, []).append(edge)

    def sent(self, edge: Edge) -> float:
        """Return log10 of the norm of what one use sends back."""
        return self.norms[edge.consumer] + edge.log10_gain

    def between(self, top: int, bottom: int) -> float:
        """Return the measured decades from one site down to another."""
        above, below = self.norms[top], self.norms[bottom]
        return 0.0 if above == below else below - above

    def steps(self, target: int) -> list[_Step]:
        """Return the way from the loss to the target, dominator by dominator."""
        consumers = {site: [e.consumer for e in edges] for site, edges in self.uses.items()}
        chain = dominators(target, consumers)
        return [self._step(top, bottom) for top, bottom in pairwise(chain)]

    def _step(self, top: int, bottom: int) -> _Step:
        terms: list[Term] = []
        parallel = False
        here = bottom
        while here != top:
            edges = self.uses[here]
            strongest = max(edges, key=lambda e: (self.sent(e), e.consumer))
            if len(edges) > 1 or abs(self.sent(strongest) - self.norms[here]) > 1e-12:
                merge = self._merge(here, edges, strongest)
                parallel |= len(edges) > 1
                if merge is not None:
                    terms.append(merge)
            if self.norms[strongest.consumer] != -math.inf:  # else nothing arrives there
                terms.append(operation(self.recording, strongest, self.parameters))
            here = strongest.consumer
        return _Step(top, bottom, terms[::-1], parallel=parallel)

    def _merge(self, here: int, edges: Sequence[Edge], strongest: Edge) -> Term | None:
        """Return what coming together does to the strongest contribution."""
        site, first = self.recording.sites[here], self.sent(strongest)
        whole = self.norms[here] - first
        if not math.isfinite(whole):
            return None  # exactly zero, or nothing finite: the operation below says so
        others = [10 ** (2 * (self.sent(e) - first)) for e in edges if e is not strongest]
        energy = 0.5 * math.log10(1.0 + math.fsum(others))
        leaves = []
        if len(edges) > 1:
            leaves.append((Factor.BRANCH_ENERGY, energy))
            leaves.append((Factor.INTERFERENCE, whole - energy))
        else:
            leaves.append((Factor.LAYOUT, whole))  # one of several outputs of a node
        names = [(self.recording.sites[e.consumer].name, e.share) for e in edges]
        return Term(
            level=Level.MERGE,
            name=f"{len(edges)} uses of {site.name}" if len(edges) > 1 else site.name,
            log10_gain=whole,
            sites=(here,),
            shares=tuple(names) if len(edges) > 1 else (),
            children=tuple(
                Term(
                    level=Level.FACTOR,
                    name=str(factor),
                    log10_gain=gain,
                    factor=factor,
                    sites=(here,),
                )
                for factor, gain in leaves
            ),
        )


def _blocks(recording: Recording, steps: Iterable[_Step]) -> list[Term]:
    """Gather steps: the loss, then one block a layer or a pair of parallel paths."""
    blocks: list[Term] = []
    waiting: list[Term] = []
    in_loss = True

    def close() -> None:
        if waiting:
            blocks.append(_block(recording, waiting, in_loss=in_loss))
            waiting.clear()

    for step in steps:
        site = recording.sites[step.top]
        if in_loss and site.role is not Role.LOSS:
            close()
            in_loss = False
        if step.parallel and not in_loss:
            close()
        waiting.extend(step.terms)
        if not in_loss and (step.parallel or site.weights):
            close()
    close()
    return blocks


def _block(recording: Recording, terms: Sequence[Term], *, in_loss: bool) -> Term:
    sites = tuple(dict.fromkeys(i for term in terms for i in term.sites))
    return Term(
        level=Level.LOSS if in_loss else Level.BLOCK,
        name="loss" if in_loss else _name(recording.sites[i] for i in sites),
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


def _pattern(blocks: Sequence[Term]) -> str:
    """Return the name of a run of equal blocks: where it begins and ends, input side first."""
    first, last = (block.name.partition(" ")[0] for block in (blocks[-1], blocks[0]))
    what = blocks[0].name.partition("(")[2].rstrip(")") or blocks[0].name.partition(" ")[2]
    return f"{first} to {last} ({what})" if what else f"{first} to {last}"


def _common(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the module names that all paths begin with."""
    columns = zip(*paths, strict=False)
    return [names[0] for names in takewhile(lambda names: len(set(names)) == 1, columns)]


def _shape(term: Term) -> tuple[object, ...]:
    """Return what makes two blocks equal: the kinds of steps, not their numbers or places."""
    return (
        term.level,
        term.factor,
        len(term.shares),
        "" if term.level is not Level.OPERATION else term.name.split()[1:2][0],
        tuple(_shape(child) for child in term.children),
    )


def _folded(blocks: Sequence[Term]) -> list[Term]:
    """Put runs of equal blocks under one term each."""
    folded: list[Term] = []
    start = 0
    while start < len(blocks):
        period, repeats = _longest_run(blocks, start)
        if repeats < 3:
            folded.append(blocks[start])
            start += 1
            continue
        run = blocks[start : start + period * repeats]
        folded.append(
            Term(
                level=Level.GROUP,
                name=f"{repeats} x {_pattern(run)}",
                log10_gain=total([block.log10_gain for block in run]),
                sites=tuple(i for block in run for i in block.sites),
                children=tuple(run),
            )
        )
        start += period * repeats
    return folded


def _longest_run(blocks: Sequence[Term], start: int, longest: int = 4) -> tuple[int, int]:
    """Return the period and the number of repeats of the run that covers most blocks."""
    best = (1, 1)
    for period in range(1, longest + 1):
        pattern = [_shape(b) for b in blocks[start : start + period]]
        repeats = 1
        while True:
            begin = start + period * repeats
            window = [_shape(b) for b in blocks[begin : begin + period]]
            if window != pattern:
                break
            repeats += 1
        if repeats > 2 and period * repeats > best[0] * best[1]:
            best = (period, repeats)
    return best
