"""ReZero (Bachlechner et al. 2020): every branch begins with weight 0. Reproduction for the seminar."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

_bunch = load_digits()
images = torch.tensor(_bunch.data).float().div(8).sub(1)
digits = torch.tensor(_bunch.target)
_p = torch.randperm(len(digits), generator=torch.Generator().manual_seed(12))
fit, check, exam = _p[:1200], _p[1200:1450], _p[1450:]


class ReZeroBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))
        self.W = nn.Parameter(torch.randn(width, width) * (2 / width) ** 0.5)
        self.b = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return x + self.alpha * F.relu(F.linear(x, self.W, self.b))


class Tower(nn.Module):
    def __init__(self, width=64, depth=20):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.Sequential(*[ReZeroBlock(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


def model():
    return Tower()


def data():
    for i in fit[torch.randperm(len(fit))].split(64):
        yield images[i], digits[i]


loss = nn.CrossEntropyLoss(label_smoothing=0.1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model):
    return (model(images[check]).argmax(1) == digits[check]).float().mean().item()


GOAL = 0.93
HIGHER_IS_BETTER = True
