# Are two noisy signals copies of the same template? Distance between embeddings, contrastive loss.
import torch
from torch import nn

LEN = 32
templates = torch.randn(40, LEN, generator=torch.Generator().manual_seed(2))


def pairs(n, seed):
    g = torch.Generator().manual_seed(seed)
    a = torch.randint(40, (n,), generator=g)
    b = torch.where(torch.rand(n, generator=g) < 0.5, a, torch.randint(40, (n,), generator=g))
    left = templates[a] + 0.3 * torch.randn(n, LEN, generator=g)
    right = templates[b] + 0.3 * torch.randn(n, LEN, generator=g)
    same = (a == b).float()
    # a few pairs are the very same recording
    twin = torch.rand(n, generator=g) < 0.03
    right = torch.where(twin.unsqueeze(1), left, right)
    return (left * torch.linspace(0.1, 2, LEN), right * torch.linspace(0.1, 2, LEN)), torch.where(twin, 1.0, same)


def tower():
    return nn.Sequential(nn.Linear(LEN, 64), nn.ReLU(), nn.Linear(64, 16))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = tower()

    def forward(self, left, right):
        gap = self.tower(left) - self.tower(right)
        return torch.sqrt((gap**2).sum(1))


def model():
    return Siamese()


(L, R), S = pairs(1600, 0)


def data(seed=0):
    for i in torch.randperm(1600, generator=torch.Generator().manual_seed(seed)).split(80):
        yield (L[i], R[i]), S[i]


def loss(distance, same):
    return (same * distance**2 + (1 - same) * torch.relu(2.0 - distance) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    inputs, same = pairs(400, 1)
    with torch.no_grad():
        return ((model(*inputs) < 1.0).float() == same).float().mean().item()


HIGHER_IS_BETTER = True
