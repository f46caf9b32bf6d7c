import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Expert(nn.Module):
    """64 -> 3 -> 16, deliberately thin"""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 3)
        self.b = nn.Linear(3, 16)

    def forward(self, x):
        return torch.tanh(self.b(torch.tanh(self.a(x))))


class Mixture(nn.Module):
    def __init__(self, n_experts=2, n_classes=10):
        super().__init__()
        self.n_experts = n_experts
        self.gate = nn.Linear(64, n_experts)
        self.experts = [Expert() for _ in range(n_experts)]
        self.head = nn.Linear(16, n_classes)

    def forward(self, x):
        w = F.softmax(self.gate(x), dim=-1)
        mixed = sum(w[:, i : i + 1] * e(x) for i, e in enumerate(self.experts))
        return self.head(mixed)


def model():
    return Mixture()


_bunch = load_digits()
_x = torch.from_numpy(_bunch.data).float().div(8).sub(1)
_y = torch.from_numpy(_bunch.target)
_order = torch.randperm(len(_y), generator=torch.Generator().manual_seed(42))
_train = _order[:1400]
_rest = _order[1400:]


def data():
    for idx in _train[torch.randperm(len(_train))].split(70):
        yield _x[idx], _y[idx]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
