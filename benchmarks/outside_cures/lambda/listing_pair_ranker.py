"""Pairwise ranking of flat listings by click preference (RankNet).

Input: two feature vectors; output: how much more attractive the first one is (logit).
"""
from typing import Sequence

import torch
from torch import Tensor, nn

N_FEATURES = 18


def _utility(x: Tensor) -> Tensor:
    return x[:, 0] * x[:, 1] + 1.5 * torch.sin(2 * x[:, 2]) - x[:, 3].abs() + 0.8 * x[:, 4] - 0.5 * x[:, 5] * (x[:, 6] > 0)


def click_log(n: int, seed: int, noise: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(n, N_FEATURES, generator=g)
    b = torch.randn(n, N_FEATURES, generator=g)
    margin = _utility(a) - _utility(b) + noise * torch.randn(n, generator=g)
    return a, b, (margin > 0).float()


class FeatureNorm(nn.Module):
    """Layer normalisation; ours, because the serving runtime has no kernel for nn.LayerNorm."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        mu = x.mean(dim=-1, keepdim=True)
        var = (x - mu).pow(2).mean(dim=-1, keepdim=True)
        return self.gain * (x - mu) * torch.rsqrt(var + self.eps) + self.shift


class Scorer(nn.Module):
    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes, sizes[1:]))
        self.norms = nn.ModuleList(FeatureNorm(o) for o in sizes[1:])
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.linears) - 1
        for i, (linear, norm) in enumerate(zip(self.linears, self.norms)):
            x = norm(linear(x))
            if i < last:
                x = self.act(x)
        return x.squeeze(-1)


class RankNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scorer = Scorer([N_FEATURES, 64, 64, 1])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.scorer(first) - self.scorer(second)


def model() -> nn.Module:
    return RankNet()


A, B, CLICKED = click_log(6000, seed=21)


def data():
    perm = torch.randperm(len(A))
    for i in range(0, len(A) - 127, 128):
        j = perm[i : i + 128]
        yield (A[j], B[j]), CLICKED[j]


loss = nn.BCEWithLogitsLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
