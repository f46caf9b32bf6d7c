"""The three models every cost figure refers to, and a plain stack of any depth."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Case = tuple[nn.Module, tuple[Tensor, Tensor]]


def mlp(depth: int = 20, width: int = 256, batch: int = 128) -> Case:
    """Return a ReLU network with He weights."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    return model, (torch.randn(batch, width), torch.randint(10, (batch,)))


class Block(nn.Module):
    """Basic block of ResNet-18."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        same = inside == outside and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add body and skip, then rectify."""
        return F.relu(self.skip(x) + self.body(x))


def resnet(width: int = 32, batch: int = 32) -> Case:
    """Return a network like ResNet-18, narrow, for 32 x 32 images."""
    plan = [(1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)]
    blocks: list[nn.Module] = []
    inside = width
    for factor, stride in plan:
        blocks.append(Block(inside, width * factor, stride))
        inside = width * factor
    stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
    model = nn.Sequential(
        stem, nn.BatchNorm2d(width), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10),
    )  # fmt: skip
    return model, (torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,)))


class Transformer(nn.Module):
    """Pre-norm encoder over tokens, one class a token."""

    def __init__(self, depth: int, width: int, tokens: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, tokens)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, tokens of all samples in one dimension."""
        return self.head(self.body(self.embed(x))).flatten(0, 1)


def transformer(depth: int = 6, width: int = 128, batch: int = 32, length: int = 32) -> Case:
    """Return a small transformer and token batches."""
    tokens = torch.randint(100, (batch, length))
    return Transformer(depth, width, 100), (tokens, tokens.flatten())


def sigmoid_stack(depth: int, width: int = 32, batch: int = 32) -> Case:
    """Return a plain sigmoid stack, whose gradient shrinks by 0.14 a layer."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    return model, (torch.randn(batch, width), torch.randint(10, (batch,)))


def tanh_stack(depth: int, width: int = 32, batch: int = 32) -> Case:
    """Return a plain orthogonal tanh stack, whose gradient needs no exponents."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.orthogonal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    scale = 1 / math.sqrt(width)
    return model, (scale * torch.randn(batch, width), torch.randint(10, (batch,)))


MODELS: dict[str, Callable[[], Case]] = {
    "MLP, 20 x 256": mlp,
    "ResNet-18-like, 32 x 32": resnet,
    "transformer, 6 layers": transformer,
}
