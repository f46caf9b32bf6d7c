"""Deep residual MLP for digits, every branch starts at zero (Fixup / SkipInit style), so no norm layers needed."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

bunch = load_digits()
X = torch.as_tensor(bunch.data).float().div(8).sub(1)
Y = torch.as_tensor(bunch.target)
split = torch.randperm(len(X), generator=torch.Generator().manual_seed(12)).split([1200, 250, 347])


class Branch(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.up = nn.Linear(d, 2 * d)
        self.down = nn.Linear(2 * d, d)
        nn.init.kaiming_normal_(self.up.weight)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))


def model():
    depth, d = 16, 32
    return nn.Sequential(nn.Linear(64, d), *[Branch(d) for _ in range(depth)], nn.Linear(d, 10))


def data(seed=0):
    rng = torch.Generator().manual_seed(seed + int(torch.randint(10**6, (1,))))
    for i in split[0][torch.randperm(1200, generator=rng)].split(60):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()
optimizer = lambda model: torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    with torch.no_grad():
        return (model(X[split[1]]).argmax(1) == Y[split[1]]).float().mean().item()


GOAL = 0.9
HIGHER_IS_BETTER = True
