"""Networks of known health, as people write them; the verdicts are what is tested.

`HEALTHY` and `SICK` map a name to a function that returns model and batch. A sick entry
also names the codes that must be found and the primary cause of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = tuple[nn.Module, Any]
Init = Callable[[Tensor], Any]


def he(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def xavier(weight: Tensor) -> None:
    nn.init.xavier_normal_(weight)


def normal(std: float) -> Init:
    return lambda weight: nn.init.normal_(weight, 0.0, std)


def classes(*shape: int, batch: int = 64) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, *shape), torch.randint(0, 10, (batch,))


def mlp(
    depth: int,
    act: Callable[[], nn.Module],
    init: Init | None = None,
    norm: Callable[[int], nn.Module] | None = None,
    bias: float | None = 0.0,
    batch: int = 64,
) -> Network:
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(64, 64)
        if init is not None:
            init(linear.weight)
            nn.init.constant_(linear.bias, bias or 0.0)
        layers += [linear, *([norm(64)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(64, 10)), classes(64, batch=batch)


class Residual(nn.Module):
    def __init__(self, depth: int, *, norm: bool, zero: bool = False) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(64) if norm else nn.Identity(),
                nn.Linear(64, 64),
                nn.ReLU(),
                nn.Linear(64, 64),
            )
            for _ in range(depth)
        )
        if zero:
            for block in self.blocks:
                nn.init.zeros_(block[3].weight)
                nn.init.zeros_(block[3].bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class ReZero(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.gates = nn.Parameter(torch.zeros(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = x + self.gates[i] * F.relu(block(x))
        return self.head(x)


class LoRA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.ModuleList(nn.Linear(64, 64) for _ in range(3)).requires_grad_(False)
        self.down = nn.ParameterList(nn.Parameter(0.1 * torch.randn(64, 4)) for _ in range(3))
        self.up = nn.ParameterList(nn.Parameter(torch.zeros(4, 64)) for _ in range(3))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for frozen, down, up in zip(self.frozen, self.down, self.up, strict=True):
            x = F.gelu(frozen(x) + x @ down @ up)
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(50, 32), kind(32, 48), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(x))[0][-1])


class Transformer(nn.Module):
    def __init__(self, depth: int, *, pre: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 64)
        self.position = nn.Parameter(0.02 * torch.randn(16, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, norm_first=pre, batch_first=True)
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(64, 50)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.position))


class UNet(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1) for i in range(3)
        )
        self.up = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(3))
        self.middle, self.out = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            x = F.relu(layer(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = F.relu(self.middle(x))
        for layer in self.up:
            x = F.relu(layer(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1)))
        return self.out(x)


def plain_cnn(depth: int, *, norm: bool) -> Network:
    layers: list[nn.Module] = []
    inside = 3
    for i in range(depth):
        layers += [nn.Conv2d(inside, 16, 3, padding=1)]
        layers += [nn.BatchNorm2d(16)] if norm else []
        layers += [nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if i in (3, 7) else []
        inside = 16
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return model, classes(3, 16, 16, batch=16)


def rescaled(first: int) -> Network:
    """One layer a thousand times larger, the next a thousand times smaller: same function."""
    model, batch = mlp(8, nn.ReLU, he)
    linears = [m for m in model if isinstance(m, nn.Linear)]
    with torch.no_grad():
        linears[first].weight.mul_(1e3)
        linears[first + 1].weight.div_(1e3)
    return model, batch


def zero_head() -> Network:
    model, batch = mlp(4, nn.ReLU, he)
    nn.init.zeros_(model[-1].weight)
    return model, batch


def mostly_dead() -> Network:
    model, batch = mlp(3, nn.ReLU, he)
    with torch.no_grad():
        model[2].bias[:40] = -30.0
    return model, batch


def tokens(length: int = 16, batch: int = 32) -> tuple[Tensor, Tensor]:
    x = torch.randint(0, 50, (batch, length))
    return x, x


def sequence(length: int) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 50, (length, 32)), torch.randint(0, 10, (32,))


HEALTHY: dict[str, Callable[[], Network]] = {
    "relu 5, torch's default": lambda: mlp(5, nn.ReLU),
    "relu 10, he": lambda: mlp(10, nn.ReLU, he),
    "relu 30, he": lambda: mlp(30, nn.ReLU, he),
    "sigmoid 2": lambda: mlp(2, nn.Sigmoid),
    "sigmoid 3": lambda: mlp(3, nn.Sigmoid),
    "tanh 6": lambda: mlp(6, nn.Tanh),
    "tanh 30, xavier": lambda: mlp(30, nn.Tanh, xavier),
    "selu 20": lambda: mlp(20, nn.SELU, normal(1 / 8)),
    "sigmoid 10, batch norm": lambda: mlp(10, nn.Sigmoid, norm=nn.BatchNorm1d),
    "relu 10, batch norm": lambda: mlp(10, nn.ReLU, he, norm=nn.BatchNorm1d),
    "relu 20, layer norm": lambda: mlp(20, nn.ReLU, he, norm=nn.LayerNorm),
    "batch of 2": lambda: mlp(6, nn.ReLU, he, batch=2),
    "batch of 1,024": lambda: mlp(6, nn.ReLU, he, batch=1024),
    "residual 20, layer norm": lambda: (Residual(20, norm=True), classes(64)),
    "residual 10, no norm": lambda: (Residual(10, norm=False), classes(64)),
    "residual 20, zero branches": lambda: (Residual(20, norm=True, zero=True), classes(64)),
    "rezero 50": lambda: (ReZero(50), classes(64)),
    "lora": lambda: (LoRA(), classes(64)),
    "lstm, 20 steps": lambda: (Recurrent(nn.LSTM), sequence(20)),
    "gru, 20 steps": lambda: (Recurrent(nn.GRU), sequence(20)),
    "pre-norm transformer 6": lambda: (Transformer(6, pre=True), tokens()),
    "post-norm transformer 6": lambda: (Transformer(6, pre=False), tokens()),
    "plain cnn 5": lambda: plain_cnn(5, norm=False),
    "plain cnn 12, batch norm": lambda: plain_cnn(12, norm=True),
    "u-net": lambda: (UNet(), (torch.randn(4, 1, 16, 16), torch.rand(4, 1, 16, 16))),
    "layers rescaled at the input": lambda: rescaled(0),
    "layers rescaled in the middle": lambda: rescaled(3),
    "head that starts at zero": zero_head,
}

SICK: dict[str, tuple[Callable[[], Network], str, str]] = {
    "sigmoid 6": (lambda: mlp(6, nn.Sigmoid), "UV101", "activation-slope"),
    "sigmoid 30": (lambda: mlp(30, nn.Sigmoid), "UV101", "activation-slope"),
    "sigmoid 30, xavier": (lambda: mlp(30, nn.Sigmoid, xavier), "UV101", "activation-slope"),
    "sigmoid 20, layer norm": (
        lambda: mlp(20, nn.Sigmoid, norm=nn.LayerNorm),
        "UV101",
        "activation-slope",
    ),
    "tanh 30, torch's default": (lambda: mlp(30, nn.Tanh), "UV101", "init-too-small"),
    "relu 30, torch's default": (lambda: mlp(30, nn.ReLU), "UV101", "init-too-small"),
    "relu 30, xavier": (lambda: mlp(30, nn.ReLU, xavier), "UV101", "init-too-small"),
    "gelu 30, torch's default": (lambda: mlp(30, nn.GELU), "UV101", "init-too-small"),
    "relu 20, tiny weights": (lambda: mlp(20, nn.ReLU, normal(0.01)), "UV101", "init-too-small"),
    "plain cnn 20": (lambda: plain_cnn(20, norm=False), "UV101", "init-too-small"),
    "dead by bias": (lambda: mlp(8, nn.ReLU, he, bias=-4.0), "UV202", "bias"),
    "most units dead by bias": (mostly_dead, "UV202", "bias"),
    "tanh 6, large weights": (lambda: mlp(6, nn.Tanh, normal(1.0)), "UV201", "init-too-large"),
    "relu 30, twice he": (
        lambda: mlp(30, nn.ReLU, normal(2 * math.sqrt(2 / 64))),
        "UV102",
        "init-too-large",
    ),
    "relu 60, batch norm": (
        lambda: mlp(60, nn.ReLU, he, norm=nn.BatchNorm1d),
        "UV102",
        "depth-without-skip",
    ),
}
