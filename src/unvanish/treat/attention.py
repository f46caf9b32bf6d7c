"""The attention of a network: what makes its scores, and where they can be reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import routers, scores
from unvanish.diagnose.scores import is_scaled
from unvanish.treat.attention_parts import Factor, NormalisedAttention, UnitSize, to_unit_size
from unvanish.treat.ways import NORMS, weight_of

__all__ = [
    "FUSED",
    "MODULE",
    "PRODUCTS",
    "Attention",
    "Factor",
    "NormalisedAttention",
    "UnitSize",
    "attentions_of",
    "to_unit_size",
    "weighings_of",
]

FUSED: Final = "scaled_dot_product_attention"
MODULE: Final = "multi_head_attention_forward"
PRODUCTS: Final = frozenset({"matmul", "bmm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One place at which a softmax weighs values, by products of queries and keys or otherwise.

    Attributes:
        softmax: The softmax of its first call.
        path: Path of the module in whose forward queries and keys are multiplied; that of the
            softmax where no matrix product makes its scores.
        function: What multiplies them: a product, or PyTorch's function for all of it; empty where
            no matrix product of known width makes the scores.
        call: Which call of that function in the forward.
        softmax_calls: Which softmaxes in the forward of the module that calls it; None for all.
        width: Entries d of a query; 0 where it cannot be told.
        spread: Standard deviation of the scores of a query; the largest of its calls.
        scaled: Whether scores, queries or keys are multiplied with a constant.
        normalised: Whether queries or keys are normalised already.
        query: Name of the weight that makes the first factor; empty where it cannot be told.
        key: The same of the second.
        value: The same of what is weighed.
    """

    softmax: Site
    path: str
    function: str
    call: int
    softmax_calls: tuple[int, ...] | None
    width: int
    spread: float
    scaled: bool
    normalised: bool
    query: str
    key: str
    value: str

    @property
    def apart(self) -> tuple[str, ...]:
        """Names of the weights that make queries or keys and nothing else."""
        if self.query == self.key:
            return ()
        return tuple(one for one in (self.query, self.key) if one and one != self.value)


def attentions_of(recording: Recording) -> tuple[Attention, ...]:
    """Return every place at which a softmax of products of queries and keys weighs values.

    Args:
        recording: One look at the network.
    """
    return tuple(one for one in weighings_of(recording) if one.function)


def weighings_of(recording: Recording) -> tuple[Attention, ...]:
    """Return every place at which a softmax weighs values, whatever makes its scores.

    Scores may be sums of products, distances, or what a layer gives out, as well as products of
    queries and keys.

    Args:
        recording: One look at the network.
    """
    wiring = Wiring(recording)
    shapes = {p.name: p.shape for p in recording.parameters}
    between_experts = {site.index for site in routers(wiring)}
    spread = recording[Quantity.SCORE_SPREAD]
    found: dict[tuple[object, ...], Attention] = {}
    calls: dict[tuple[object, ...], list[Site]] = {}
    for site in recording.signal_sites():
        weighed = wiring.weighs(site) if "softmax" in site.op else None
        if weighed is None or site.index in between_experts:
            continue
        product = scores(wiring, site)
        operands = wiring.producers(product) if product is not None else []
        width = _contracted(operands)
        if product is None or not width:
            product, operands, width = site, [], _summed(wiring, site)
        line = product.source.line if product.source else 0
        makers = tuple(_made_by(wiring, one, shapes) for one in operands) or ("",)
        function = product.function if operands else ""
        key = (product.path, function, line, *makers)
        calls.setdefault(key, []).append(site)
        known = found.get(key)
        if known is not None:
            widest = max(known.spread, spread.get(site))
            found[key] = replace(known, spread=widest)
            continue
        values = [one for one in wiring.producers(weighed) if not _is_behind(wiring, one, site)]
        found[key] = Attention(
            softmax=site,
            path=product.path,
            function=function,
            call=_calls_before(recording, site if function == FUSED else product),
            softmax_calls=None,
            width=width,
            spread=spread.get(site),
            scaled=is_scaled(wiring, site),
            normalised=any(_is_normalised(wiring, one) for one in operands),
            query=makers[0],
            key=makers[-1],
            value=_made_by(wiring, values[0], shapes) if values else "",
        )
    return tuple(
        replace(one, softmax_calls=_numbers(recording, calls[key])) for key, one in found.items()
    )


def _numbers(recording: Recording, softmaxes: list[Site]) -> tuple[int, ...] | None:
    """Return which calls in their forward some softmaxes are; None where they are all of them."""
    first = softmaxes[0]
    alike = [one for one in recording.sites if _is_alike(one, first)]
    if len(alike) == len(softmaxes):
        return None
    return tuple(_calls_before(recording, one) for one in softmaxes if _is_alike(one, first))


def _summed(wiring: Wiring, softmax: Site) -> int:
    """Return over how many products of two signals each score is a sum; 0 where it is none."""
    site = softmax
    while len(producers := wiring.producers(site)) == 1 and not producers[0].weights:
        site = producers[0]
        if site.op == "sum":
            products = wiring.producers(site)
            if len(products) == 1 and _is_product(wiring, products[0]):
                return math.prod(products[0].shape) // max(1, math.prod(site.shape))
            return 0
    return 0


def _is_product(wiring: Wiring, site: Site) -> bool:
    return site.op == "mul" and not site.weights and len(wiring.producers(site)) > 1


def _contracted(operands: list[Site]) -> int:
    """Return the width that two factors of a product share."""
    if len(operands) != 2 or any(len(one.shape) < 2 for one in operands):
        return 0
    (_, inner), (outer, _) = operands[0].shape[-2:], operands[1].shape[-2:]
    if inner == outer:
        return inner
    return operands[0].shape[-2] if operands[0].shape[-2] == operands[1].shape[-1] else 0


def _is_behind(wiring: Wiring, site: Site, softmax: Site) -> bool:
    return site.index == softmax.index or any(
        one.index == softmax.index for one in wiring.behind(site)
    )


def _calls_before(recording: Recording, site: Site) -> int:
    """Return how often a function ran before in the forward that calls it."""
    return sum(one.index < site.index and _is_alike(one, site) for one in recording.sites)


def _is_alike(one: Site, other: Site) -> bool:
    """Tell whether one forward makes two calls of one function."""
    return (one.path, one.op, one.function) == (other.path, other.op, other.function)


def _is_normalised(wiring: Wiring, operand: Site) -> bool:
    for site in (operand, *wiring.behind(operand)):
        if site.op in NORMS or "norm" in site.op or "rsqrt" in site.op:
            return True
        if site.weights:
            return all("norm" in name.casefold() for name in site.weights)
    return False


def _made_by(wiring: Wiring, operand: Site, shapes: dict[str, tuple[int, ...]]) -> str:
    for site in (operand, *wiring.behind(operand)):
        if site.weights and weight_of(site, shapes):
            return weight_of(site, shapes)
    return ""
