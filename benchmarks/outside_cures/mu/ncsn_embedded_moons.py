# Noise-conditional score network (Song & Ermon 2019): two moons, lifted into 8 dimensions.
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

DIM = 8
SIGMAS = torch.exp(torch.linspace(math.log(4.0), math.log(0.03), 10))


_g = torch.Generator().manual_seed(12)
LIFT = torch.linalg.qr(torch.randn(DIM, 2, generator=_g))[0].t()     # (2, DIM), orthonormal rows


def points(n, seed):
    x, _ = make_moons(n, noise=0.004, random_state=seed)
    x = torch.tensor(x, dtype=torch.float32)
    return (x - torch.tensor([0.5, 0.25])) / torch.tensor([0.87, 0.5]) @ LIFT


class ScoreNet(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.sigma_embed = nn.Embedding(len(SIGMAS), 32)
        self.net = nn.Sequential(
            nn.Linear(DIM + 32, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, DIM),
        )

    def forward(self, x, level):
        return self.net(torch.cat([x, self.sigma_embed(level)], -1))


def dsm_loss(score, target):
    """denoising score matching: || s(x~, sigma) + (x~ - x) / sigma^2 ||^2"""
    noise, sigma = target[:, :-1], target[:, -1:]
    return 0.5 * ((score + noise / sigma ** 2) ** 2).sum(-1).mean()


X = points(4000, seed=0)


def noisy_batch(x):
    level = torch.randint(0, len(SIGMAS), (len(x),))
    sigma = SIGMAS[level].unsqueeze(-1)
    noise = torch.randn_like(x) * sigma
    return (x + noise, level), torch.cat([noise, sigma], -1)


def model():
    return ScoreNet()


def data():
    for i in torch.randperm(len(X)).split(128)[:-1]:
        yield noisy_batch(X[i])


loss = dsm_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
