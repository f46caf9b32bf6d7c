"""CTR model: deep & cross network (v2) over dense user/ad counters plus two categorical ids."""
from typing import Tuple

import torch
from torch import Tensor, nn

DENSE = 8
N_ADS, N_SITES = 50, 20


def log_rows(n: int, seed: int) -> Tuple[Tuple[Tensor, Tensor], Tensor]:
    fix = torch.Generator().manual_seed(1234)
    ad_effect = 1.2 * torch.randn(N_ADS, generator=fix)
    site_effect = 0.8 * torch.randn(N_SITES, generator=fix)
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, DENSE, generator=g)
    ad = torch.randint(0, N_ADS, (n,), generator=g)
    site = torch.randint(0, N_SITES, (n,), generator=g)
    score = 2.0 * z[:, 0] * z[:, 1] + 1.5 * z[:, 2] - 1.2 * z[:, 3] + ad_effect[ad] + site_effect[site] - 0.5
    click = (torch.rand(n, generator=g) < torch.sigmoid(2 * score)).float()
    # impressions, clicks, seconds on site, ... : counters as the log has them
    counters = torch.floor(torch.exp(4.0 + 1.1 * z))
    return (counters, torch.stack([ad, site], 1)), click


class CrossLayer(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * self.linear(x) + x


class CrossNet(nn.Module):
    def __init__(self, emb: int = 8, n_cross: int = 3, hidden: int = 64):
        super().__init__()
        self.ads = nn.Embedding(N_ADS, emb)
        self.sites = nn.Embedding(N_SITES, emb)
        dim = DENSE + 2 * emb
        self.prepare = nn.Identity()  # hook for feature transforms
        self.cross = nn.ModuleList([CrossLayer(dim) for _ in range(n_cross)])
        self.deep = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.out = nn.Linear(dim + hidden, 1)

    def forward(self, counters: Tensor, ids: Tensor) -> Tensor:
        x0 = torch.cat([self.prepare(counters), self.ads(ids[:, 0]), self.sites(ids[:, 1])], dim=1)
        x = x0
        for layer in self.cross:
            x = layer(x0, x)
        return self.out(torch.cat([x, self.deep(x0)], dim=1)).squeeze(1)


inputs, clicks = log_rows(6000, seed=0)


def model() -> nn.Module:
    return CrossNet()


def data():
    for rows in torch.randperm(len(clicks)).split(128):
        yield tuple(t[rows] for t in inputs), clicks[rows]


loss = nn.BCEWithLogitsLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)
