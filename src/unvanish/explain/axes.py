"""Beside the size of the gradient: samples, tokens, the three inputs of attention, noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from unvanish.core.explanations import AttentionAxis, Axes, LayerAxis
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording
from unvanish.explain.factors.book import Book
from unvanish.explain.factors.matrix import MATRIX
from unvanish.explain.factors.pooling import LAYOUT

_MATRIX_PRODUCTS: Final = frozenset({"matmul", "mm", "bmm", "baddbmm", "einsum"})
_ON_SCORES: Final = LAYOUT | frozenset("mul div add sub iadd tanh clamp".split())
"""What may lie between the product of queries and keys and the softmax: scales, masks, caps."""
_ON_WEIGHTS: Final = LAYOUT | frozenset({"dropout", "mul", "native_dropout"})
_FURTHEST: Final = 12


def axes(recording: Recording) -> Axes:
    """Return what was measured beside the size of the gradient.

    Args:
        recording: What was observed.
    """
    noise = recording.noise
    return Axes(
        layers=tuple(_layers(recording)),
        attention=tuple(_attention(recording)),
        signal_to_noise=tuple(noise.by_parameter.items()) if noise is not None else (),
    )


def _layers(recording: Recording) -> Iterator[LayerAxis]:
    deviation = recording[Quantity.TOKEN_DEVIATION]
    grad_deviation = recording[Quantity.GRAD_TOKEN_DEVIATION]
    for site in recording.signal_sites():
        if site.weights and site.op.startswith((*MATRIX, "embedding")):
            yield LayerAxis(
                site=site.index,
                name=site.name,
                cosine=recording[Quantity.SAMPLE_COSINE].get(site),
                rank=recording[Quantity.EFFECTIVE_RANK].get(site),
                grad_rank=recording[Quantity.GRAD_EFFECTIVE_RANK].get(site),
                deviation=deviation.get(site) ** 2,
                grad_deviation=grad_deviation.get(site) ** 2,
            )


def _attention(recording: Recording) -> Iterator[AttentionAxis]:
    """Follow every softmax up to the product it is made of and down to the one it goes into."""
    softmaxes = [s for s in recording.signal_sites() if "softmax" in s.op]
    if not softmaxes:
        return
    book = Book(recording)
    into: dict[int, list[Edge]] = {}
    for edge in recording.edges:
        into.setdefault(edge.consumer, []).append(edge)
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    for site in softmaxes:
        scores = _product_before(book, site.index)
        found = _product_behind(book, site.index)
        if scores is None or found is None:
            continue
        product, through = found
        sides = into.get(scores, [])
        values = [edge for edge in into.get(product, []) if edge.producer != through]
        if len(sides) < 2 or len(values) != 1:
            continue
        sent = [norms.get(edge.consumer) + edge.log10_gain for edge in (*sides[-2:], values[0])]
        largest = max(sent)
        energies = [10 ** (2 * (one - largest)) for one in sent]
        whole = sum(energies)
        if not 0.0 < whole < float("inf"):
            continue
        query, key, value = (energy / whole for energy in energies)
        yield AttentionAxis(
            site=site.index,
            name=site.name,
            query=query,
            key=key,
            value=value,
            entropy=recording[Quantity.ATTENTION_ENTROPY].get(site),
        )


def _product_before(book: Book, site: int) -> int | None:
    """Return the matrix product that the scores of a softmax are; None where there is none."""
    here = site
    for _ in range(_FURTHEST):
        behind = [i for i in book.producers.get(here, ()) if not book.site(i).weights]
        products = [i for i in behind if book.site(i).op in _MATRIX_PRODUCTS]
        if products:
            return products[0]
        moved = [i for i in behind if book.site(i).op.rstrip("_") in _ON_SCORES]
        if not moved:
            return None
        here = max(moved, key=lambda i: book.site(i).size)  # a mask or a bias is no larger
    return None


def _product_behind(book: Book, site: int) -> tuple[int, int] | None:
    """Return the product that the weights go into, and by which of its inputs."""
    here = site
    for _ in range(_FURTHEST):
        behind = book.consumers.get(here, [])
        if not behind:
            return None
        product = next((i for i in behind if book.site(i).op in _MATRIX_PRODUCTS), None)
        if product is not None:
            return product, here
        here = behind[0]
        if book.site(here).op.rstrip("_") not in _ON_WEIGHTS:
            return None
    return None
