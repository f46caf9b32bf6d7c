"""Lesson: transformers at their start: skips and norms, equal tokens, starved queries and keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.learn.lesson import Lesson
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.theory.attention import softmax_energy

_HEADS: Final = 2
_CLASSES: Final = 4
_BATCH: Final = 8
_ORDERS: Final = ("post-LN", "pre-LN", "no skips")
_SHARPNESS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The transformer, and what it reads."""

    depth: int = whole(10, least=3, most=40, meaning="blocks")
    width: int = whole(32, least=8, most=128, meaning="features of a token")
    tokens: int = whole(16, least=4, most=64, meaning="tokens of a sequence")
    likeness: float = number(0.7, least=0, most=0.95, meaning="correlation of tokens at the input")
    sharpness: float = number(300.0, least=0.1, most=10_000, meaning="factor of the sharp logits")
    seed: int = seed()


class Block(nn.Module):
    """Attention and two dense layers, with the norm behind the sums, before them, or no sums."""

    def __init__(self, width: int, order: str, sharpness: float = 1.0) -> None:
        super().__init__()
        self.order = order
        self.sharpness = sharpness
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def weights(self, tokens: Tensor) -> Tensor:
        """Return how much each token takes from each, for every head."""
        queries, keys = (self._split(one(tokens)) for one in (self.query, self.key))
        scale = self.sharpness / math.sqrt(queries.shape[-1])
        return torch.softmax((queries * scale) @ keys.transpose(-1, -2), dim=-1)

    def attend(self, tokens: Tensor) -> Tensor:
        """Return what the tokens take from each other."""
        taken = self.weights(tokens) @ self._split(self.value(tokens))
        joined: Tensor = self.out(taken.transpose(1, 2).flatten(2))
        return joined

    def dense(self, tokens: Tensor) -> Tensor:
        """Return the answer of the two dense layers to each token."""
        answer: Tensor = self.narrow(relu(self.wide(tokens)))
        return answer

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens behind the block."""
        first, second = self.norms
        if self.order == "no skips":
            return self.attend(tokens)
        if self.order == "pre-LN":
            tokens = tokens + self.attend(first(tokens))
            return tokens + self.dense(second(tokens))
        tokens = first(tokens + self.attend(tokens))
        behind: Tensor = second(tokens + self.dense(tokens))
        return behind

    def _split(self, tokens: Tensor) -> Tensor:
        heads: Tensor = tokens.unflatten(-1, (_HEADS, -1)).transpose(1, 2)
        return heads


class Transformer(nn.Module):
    """Blocks, and a class read from the mean of the tokens."""

    def __init__(self, depth: int, width: int, order: str, sharpness: float = 1.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, order, sharpness) for _ in range(depth))
        self.norm = nn.LayerNorm(width) if order == "pre-LN" else nn.Identity()
        self.head = nn.Linear(width, _CLASSES)
        for name, one in self.named_parameters():
            if one.ndim == 2:
                nn.init.xavier_uniform_(one)
            elif name.endswith("bias"):
                nn.init.zeros_(one)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return a score for every class."""
        for block in self.blocks:
            tokens = block(tokens)
        scores: Tensor = self.head(self.norm(tokens).mean(dim=1))
        return scores


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one look at a transformer showed, block by block.

    Attributes:
        apart: Part of the tokens that they do not have in common, at the values.
        starved: Gradient of queries and keys against that of the values, in decades.
        values: Gradient of the values' weights, base-10 logarithm.
    """

    apart: tuple[float, ...]
    starved: tuple[float, ...]
    values: tuple[float, ...]


def experiment(settings: Settings) -> Evidence:
    """Look at three transformers, then turn up the logits of a single block."""
    width = settings.width - settings.width % _HEADS
    batch = _sequences(settings, width)
    seen = {
        order: _read(_look(Transformer(settings.depth, width, order), batch), settings.depth)
        for order in _ORDERS
    }
    post, bare = seen["post-LN"], seen["no skips"]
    single = Transformer(1, width, "post-LN")
    scales = tuple(sorted({*_SHARPNESS, settings.sharpness}))
    softmax = {scale: _through_softmax(single, batch, scale) for scale in scales}
    falls = {name: one.starved[0] - one.starved[-1] for name, one in seen.items()}
    blocks = tuple(float(block) for block in range(1, settings.depth + 1))
    logs = tuple(math.log10(scale) for scale in scales)
    return Evidence(
        points=(
            Point(
                says="part in which tokens differ at the last block, without skips",
                measured=bare.apart[-1],
                relation=Relation.AT_MOST,
                limit=0.001,
            ),
            Point(
                says="gradient of queries and keys lost from first to last block, post-LN, "
                "against the values",
                measured=falls["post-LN"],
                relation=Relation.AT_LEAST,
                limit=1.5,
                unit="decades",
            ),
            Point(
                says="how much more post-LN loses of it than pre-LN",
                measured=falls["post-LN"] - falls["pre-LN"],
                relation=Relation.AT_LEAST,
                limit=0.5,
                unit="decades",
            ),
            Point(
                says="gradient of the values' weights, first against last block, post-LN",
                measured=abs(post.values[0] - post.values[-1]),
                relation=Relation.AT_MOST,
                limit=1.0,
                unit="decades",
            ),
            Point(
                says=f"gradient lost in the softmax by logits {settings.sharpness:g} times as "
                "large",
                measured=softmax[1.0][0] - softmax[settings.sharpness][0],
                relation=Relation.AT_LEAST,
                limit=0.3,
                unit="decades",
            ),
        ),
        tables=(
            Table(
                title="first and last block of a fresh transformer",
                columns=("network", "tokens differ", "at the end", "Q, K to V", "at the end"),
                rows=tuple(
                    (name, one.apart[0], f"{one.apart[-1]:.1e}", one.starved[0], one.starved[-1])
                    for name, one in seen.items()
                ),
                note="Q, K to V: gradient of the queries' and keys' weights against that of the "
                "values, in decades. A part of 1e-7 is the rounding of float32: equal tokens.",
            ),
        ),
        plots=(
            Curves(
                title="Gradient of queries and keys, against that of the values",
                x_label="block, from the input",
                y_label="share",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=blocks, y=one.starved) for name, one in seen.items()
                ),
            ),
            Curves(
                title="Part of the tokens that they do not have in common",
                x_label="block, from the input",
                y_label="part",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=blocks, y=tuple(_log(part) for part in one.apart))
                    for name, one in seen.items()
                ),
            ),
            Curves(
                title="Gradient that comes through a softmax",
                x_label="factor of the logits",
                y_label="gain",
                x_scale=Scale.DECADES,
                y_scale=Scale.DECADES,
                series=(
                    Series(name="measured", x=logs, y=tuple(one[0] for one in softmax.values())),
                    Series(
                        name="theory, any direction",
                        x=logs,
                        y=tuple(one[1] for one in softmax.values()),
                        dots=True,
                    ),
                ),
            ),
        ),
    )


def _sequences(settings: Settings, width: int) -> tuple[Tensor, Tensor]:
    """Return sequences whose tokens are alike to the degree of the settings."""
    shared = torch.randn(_BATCH, 1, width)
    own = torch.randn(_BATCH, settings.tokens, width)
    alike = settings.likeness
    tokens = math.sqrt(alike) * shared + math.sqrt(1.0 - alike) * own
    return tokens, torch.randint(_CLASSES, (_BATCH,))


def _look(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Recording:
    return trace(model, batch, "cross_entropy", batches=1, probe_steps=0)


def _read(look: Recording, depth: int) -> _Seen:
    grads = {one.name: one.log10_grad_rms for one in look.parameters}
    sites = {site.path: site for site in look.signal_sites() if site.op == "linear"}
    apart = look[Quantity.TOKEN_DEVIATION]
    names = [f"blocks.{block}" for block in range(depth)]
    values = [grads[f"{name}.value.weight"] for name in names]
    return _Seen(
        apart=tuple(apart.get(sites[f"{name}.value"]) for name in names),
        starved=tuple(
            (grads[f"{name}.query.weight"] + grads[f"{name}.key.weight"]) / 2 - value
            for name, value in zip(names, values, strict=True)
        ),
        values=tuple(values),
    )


def _through_softmax(
    model: Transformer, batch: tuple[Tensor, Tensor], sharpness: float
) -> tuple[float, float]:
    """Return the decades that the gradient gains in the softmax: measured, and by theory."""
    block = model.blocks[0]
    assert isinstance(block, Block)
    block.sharpness = sharpness
    look = _look(model, batch)
    grads = look[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    softmax = next(site for site in look.signal_sites() if site.op == "softmax")
    logits = next(edge.producer for edge in look.edges if edge.consumer == softmax.index)
    with torch.no_grad():
        rows = block.weights(batch[0]).double().flatten(0, -2).tolist()
    energy = sum(softmax_energy(row) for row in rows) / len(rows)
    return grads.get(look.sites[logits]) - grads.get(softmax), _log(energy) / 2


def _log(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


LESSON = Lesson(
    name="transformers",
    title="Post-LN transformers starve queries and keys",
    claim=(
        "In a fresh post-LN transformer the tokens become alike from block to block, and the "
        "gradient of queries and keys fades with their differences while that of the values does "
        "not; pre-LN loses much less. Without skips the tokens are soon equal. Sharp attention "
        "starves queries and keys, too."
    ),
    text="""
Attention mixes tokens: each new token is a mean of all, with weights from a softmax over the logits
q . k. A mean makes its inputs more alike. Without skips that goes doubly exponentially fast, in the
number of layers L, for the distance r from equal tokens:

    r_(l+1) <= constant * r_l^3,   so r_L is about r_0^(3^L)

This is *rank collapse*: after a few layers all tokens are one. The skip around attention keeps the
differences alive, and where the norm stands decides how well.

    post-LN   x <- LN(x + attention(x))
    pre-LN    x <- x + attention(LN(x))

Attention adds to what the tokens have in common. In post-LN the norm then divides the sum back to
its old length, and with it what tells them apart, at every block. In pre-LN the stream itself is
never divided.

Queries and keys matter only through *differences* between tokens: where all keys are equal, the
softmax is even whatever the queries say, and their gradient is zero. So it fades block by block in
post-LN. The values carry the mean as well, and their gradient stays. A total norm over all weights
is dominated by these and shows nothing.

*Saturation* is the opposite extreme. The softmax passes a gradient on by

    dp_i/dz_j = p_i * (1 if i = j else 0) - p_i p_j

For large logits p is 1 at one token and 0 at the others, and all these are zero: attention is
certain and can no longer be taught. Between even and certain there is a best sharpness, which is
why logits are divided by the root of the head's width.
""",
    belief=(
        '"Gradients vanish in post-LN transformers" is half true: the table has queries and keys '
        "that starve in the late blocks, while the gradient of the values stays within a decade."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "Tokens that stay apart without skips; queries and keys of a post-LN transformer whose "
        "share of the gradient is as large in the tenth block as in the first, or no smaller than "
        "with pre-LN; values that lose more than a decade; a softmax that passes more gradient on "
        "with sharp logits."
    ),
    counterexample={"depth": 3},
    question=(
        "A softmax over two tokens gives 0.5 and 0.5. By what factor do its derivatives shrink "
        "when it gives 0.999 and 0.001?"
    ),
    answer="p (1 - p) goes from 0.25 to 0.000999: a factor of 250.",
    sources=(
        SOURCES["vaswani2017"],
        SOURCES["xiong2020"],
        SOURCES["noci2022"],
        SOURCES["dong2021"],
        SOURCES["zhai2023"],
    ),
)
