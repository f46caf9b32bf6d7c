"""Data with time, graphs, points or two players in it, made from a seed.

Every generator yields one pass of batches as a recipe's ``data(seed)`` does. Training takes
small seeds; `HELD_OUT` is one that it never comes to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from unvanish.zoo.data import held_out_digits, training_digits

HELD_OUT: Final = 10**9
"""A seed for data that no training run meets."""

TEXT: Final = (
    "it was the best of times, it was the worst of times, it was the age of wisdom, it was "
    "the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it "
    "was the season of light, it was the season of darkness, it was the spring of hope, it "
    "was the winter of despair, we had everything before us, we had nothing before us, we "
    "were all going direct to heaven, we were all going direct the other way. "
)
"""Charles Dickens, A Tale of Two Cities (1859), shortened; in the public domain."""

ALPHABET: Final = "".join(sorted(set(TEXT)))


def first_token_recall(
    seed: int, *, length: int, keys: int = 4, fillers: int = 4, size: int = 32, batches: int = 50
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield token sequences whose label is the first token; the rest are random fillers.

    Args:
        seed: Of the tokens.
        length: Tokens in a sequence.
        keys: Different first tokens, numbered from 0.
        fillers: Different other tokens, numbered after the keys.
        size: Sequences in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        tokens = torch.randint(keys, keys + fillers, (size, length), generator=random)
        tokens[:, 0] = torch.randint(keys, (size,), generator=random)
        yield tokens, tokens[:, 0].clone()


def adding_problem(
    seed: int, *, length: int, size: int = 32, batches: int = 50
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of numbers of which two are marked; the target is their sum.

    Args:
        seed: Of the numbers and the marks.
        length: Time steps; one mark falls into each half.
        size: Sequences in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    half = length // 2
    rows = torch.arange(size)
    for _ in range(batches):
        numbers = torch.rand(size, length, generator=random)
        marks = torch.zeros(size, length)
        marks[rows, torch.randint(half, (size,), generator=random)] = 1.0
        marks[rows, torch.randint(half, length, (size,), generator=random)] = 1.0
        yield torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1, keepdim=True)


def copy_task(
    seed: int, *, length: int, symbols: int = 8, size: int = 64, batches: int = 50
) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield ``((source, shifted), target)`` where the target is the source backwards.

    ``shifted`` is the target one step late, with token 0 in front: what a decoder under
    teacher forcing reads.

    Args:
        seed: Of the symbols.
        length: Symbols to copy.
        symbols: Different symbols, numbered from 1.
        size: Sequences in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        source = torch.randint(1, symbols + 1, (size, length), generator=random)
        target = source.flip(1)
        shifted = torch.cat([torch.zeros(size, 1, dtype=torch.long), target[:, :-1]], dim=1)
        yield (source, shifted), target


def lookup(
    seed: int, *, pairs: int, keys: int = 16, values: int = 8, size: int = 64, batches: int = 50
) -> Iterator[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Yield ``((keys, values, question), answer)``: a small dictionary and a key to look up.

    Args:
        seed: Of the dictionaries.
        pairs: Entries of each dictionary, all with different keys.
        keys: Different keys there are.
        values: Different values there are.
        size: Dictionaries in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    rows = torch.arange(size)
    for _ in range(batches):
        key = torch.rand(size, keys, generator=random).argsort(dim=1)[:, :pairs]
        value = torch.randint(values, (size, pairs), generator=random)
        asked = torch.randint(pairs, (size,), generator=random)
        yield (key, value, key[rows, asked]), value[rows, asked]


def character_text(
    seed: int, *, length: int, size: int = 16, batches: int = 20
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of `TEXT` as numbers of letters, and the same windows one letter on.

    Args:
        seed: Of the places.
        length: Letters in a window.
        size: Windows in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    letters = torch.tensor([ALPHABET.index(letter) for letter in TEXT])
    for _ in range(batches):
        starts = torch.randint(len(letters) - length, (size, 1), generator=random)
        windows = letters[starts + torch.arange(length + 1)]
        yield windows[:, :-1], windows[:, 1:]


def sine_series(
    seed: int, *, length: int, size: int = 32, batches: int = 50
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sine waves of random frequency and phase, and the same waves one step on.

    Args:
        seed: Of the waves.
        length: Time steps.
        size: Waves in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(length + 1)
    for _ in range(batches):
        speed = 0.2 + 0.4 * torch.rand(size, 1, generator=random)
        phase = 2 * math.pi * torch.rand(size, 1, generator=random)
        wave = torch.sin(speed * time + phase).unsqueeze(2)
        yield wave[:, :-1], wave[:, 1:]


def wave_shapes(
    seed: int, *, length: int, size: int = 32, batches: int = 50
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield noisy waves of one channel, and whether each is a sine, a square or a sawtooth.

    Args:
        seed: Of the waves and the noise.
        length: Time steps.
        size: Waves in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(length)
    for _ in range(batches):
        speed = 0.05 + 0.05 * torch.rand(size, 1, generator=random)
        turns = (speed * time + torch.rand(size, 1, generator=random)) % 1.0
        shapes = torch.stack(
            [torch.sin(2 * math.pi * turns), torch.sign(turns - 0.5), 2 * turns - 1]
        )
        label = torch.randint(3, (size,), generator=random)
        wave = shapes[label, torch.arange(size)]
        noise = 0.1 * torch.randn(size, length, generator=random)
        yield (wave + noise).unsqueeze(2), label


def block_graph(
    seed: int,
    *,
    nodes: int = 240,
    blocks: int = 3,
    inside: float = 0.08,
    across: float = 0.01,
    features: int = 16,
    signal: float = 0.5,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a graph with communities (a stochastic block model) and noisy node features.

    Args:
        seed: Of edges and features.
        nodes: Nodes in the graph.
        blocks: Communities, equally large.
        inside: Chance of an edge within a community.
        across: Chance of an edge between two.
        features: Features of a node.
        signal: How far the communities' feature means lie apart; the noise is 1.

    Returns:
        The features, the adjacency with self-loops scaled by both degrees
        (D^-1/2 (A + I) D^-1/2), and each node's community.
    """
    random = torch.Generator().manual_seed(seed)
    block = torch.arange(nodes) % blocks
    same = block[:, None] == block
    chance = torch.where(same, torch.tensor(inside), torch.tensor(across))
    upper = (torch.rand(nodes, nodes, generator=random) < chance).float().triu(diagonal=1)
    adjacency = upper + upper.T + torch.eye(nodes)
    root = adjacency.sum(dim=1).rsqrt()
    means = torch.randn(blocks, features, generator=random)
    own = torch.randn(nodes, features, generator=random)
    return signal * means[block] + own, root[:, None] * adjacency * root, block


def cart_states(seed: int, *, size: int = 64, batches: int = 50) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield states of a cart on a rail, ``(position in mm, velocity in mm/s)``, twice.

    The second copy is for the loss, which works out what each action leads to.

    Args:
        seed: Of the states.
        size: States in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        state = torch.randn(size, 2, generator=random) * torch.tensor([500.0, 300.0])
        yield state, state


def cart_cost(state: Tensor, push: Tensor) -> Tensor:
    """Return how badly a push leaves each cart: its squared distance from standing still.

    The cart is pushed for one second with at most 1 m/s^2; a tenth of the effort counts too.

    Args:
        state: As `cart_states` yields it.
        push: Acceleration between -1 and 1, one number a cart.
    """
    position, velocity = (state / 1000).unbind(dim=1)
    force = push.squeeze(1)
    later = position + velocity + force / 2
    return later**2 + (velocity + force) ** 2 + 0.1 * force**2


def gaussian_ring(seed: int, *, size: int, modes: int = 6) -> Tensor:
    """Draw points around `modes` centres on the unit circle, with a spread of 0.1.

    Args:
        seed: Of the points.
        size: How many.
        modes: Centres.
    """
    random = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.randint(modes, (size,), generator=random) / modes
    centre = torch.stack([angle.cos(), angle.sin()], dim=1)
    return centre + 0.1 * torch.randn(size, 2, generator=random)


def energy_distance(first: Tensor, second: Tensor) -> Tensor:
    """Compare two clouds of points: 0 where they have the same distribution.

    2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo, 2013).

    Args:
        first: Points, one a row.
        second: Points of the same width.
    """
    between = torch.cdist(first, second).mean()
    return 2 * between - torch.cdist(first, first).mean() - torch.cdist(second, second).mean()


def two_views(seed: int, *, size: int = 128) -> Iterator[dict[str, Tensor]]:
    """Yield one pass over digits, each image in two views: shifted, masked and noisy.

    Args:
        seed: Of the order and the views.
        size: Images in a batch.
    """
    random = torch.Generator().manual_seed(seed)
    images, _ = training_digits(8, 8)
    order = torch.randperm(len(images), generator=random)
    for rows in order.split(size)[:-1]:
        yield {name: _view(images[rows], random) for name in ("first", "second")}


def _view(images: Tensor, random: torch.Generator) -> Tensor:
    """Move, hide and blur what does not make a digit."""
    shifts = torch.randint(-1, 2, (len(images), 2), generator=random)
    moved = torch.stack(
        [
            image.roll((int(down), int(right)), dims=(0, 1))
            for image, (down, right) in zip(images, shifts, strict=True)
        ]
    )
    kept = torch.rand(moved.shape, generator=random) > 0.15
    noise = 0.1 * torch.randn(moved.shape, generator=random)
    return (moved * kept + noise).flatten(1)


def agreement_across_views(encode: Callable[[Tensor], Tensor]) -> float:
    """Return how often a view's most similar view of another image shows the same digit.

    The images are those that the training never sees. A tenth is chance; pixels have 0.6.

    Args:
        encode: Maps images of 64 pixels to representations, compared by their cosine.
    """
    images, labels = held_out_digits(8, 8)
    random = torch.Generator().manual_seed(0)
    first, second = (normalize(encode(_view(images, random))) for _ in range(2))
    similar = (first @ second.T).fill_diagonal_(-2.0)
    return float((labels[similar.argmax(dim=1)] == labels).float().mean())


def clouds(
    seed: int, *, points: int, size: int = 32, batches: int = 40
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clouds of points in the plane: a ring, a disc, a square or a cross, with its number.

    Args:
        seed: Of the clouds.
        points: Points in a cloud, in no order.
        size: Clouds in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        label = torch.randint(4, (size,), generator=random)
        angle = 2 * math.pi * torch.rand(size, points, generator=random)
        direction = torch.stack([angle.cos(), angle.sin()], dim=2)
        depth = torch.rand(size, points, 1, generator=random).sqrt()
        edge = direction / direction.abs().amax(dim=2, keepdim=True)
        axis = torch.randint(2, (size, points), generator=random)
        cross = one_hot(axis, 2) * direction
        shapes = torch.stack([direction, depth * direction, edge, cross])
        cloud = shapes[label, torch.arange(size)]
        yield cloud + 0.1 * torch.randn(size, points, 2, generator=random), label


def regimes(
    seed: int, *, count: int = 6, features: int = 8, size: int = 64, batches: int = 40
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points around `count` centres and, for each centre, another linear map of them.

    The targets have variance 1.

    Args:
        seed: Of the points; the centres and the maps are always the same.
        count: Centres.
        features: Inputs of a point; it has two targets.
        size: Points in a batch.
        batches: Batches in a pass.
    """
    fixed = torch.Generator().manual_seed(99)
    centres = 2 * torch.randn(count, features, generator=fixed)
    maps = torch.randn(count, features, 2, generator=fixed) / math.sqrt(features)
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        which = torch.randint(count, (size,), generator=random)
        around = torch.randn(size, features, generator=random)
        target = torch.einsum("nf,nft->nt", around, maps[which])
        yield centres[which] + around, target


def best_push(state: Tensor) -> Tensor:
    """Return the push that costs least in every state; see `cart_cost`."""
    position, velocity = (state / 1000).unbind(dim=1)
    free = -((position + velocity) / 2 + velocity) / (0.25 + 1.0 + 0.1)
    return free.clamp(-1.0, 1.0).unsqueeze(1)


def topics(seed: int, *, size: int = 64, batches: int = 50) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield texts of 20 words out of 200, and which of eight topics each is about.

    Half of the words belong to the topic, which has 25 words of its own.

    Args:
        seed: Of the words.
        size: Texts in a batch.
        batches: Batches in a pass.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        topic = torch.randint(8, (size,), generator=random)
        about = 25 * topic[:, None] + torch.randint(25, (size, 20), generator=random)
        other = torch.randint(200, (size, 20), generator=random)
        yield torch.where(torch.rand(size, 20, generator=random) < 0.5, about, other), topic
