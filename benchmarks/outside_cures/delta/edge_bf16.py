# Gesture recognition for an edge box that computes in bfloat16, so we train in bfloat16 as well.
import torch
import torch.nn as nn

g = torch.Generator().manual_seed(31)
C = torch.randn(8, 48, generator=g)


def windows(n):
    y = torch.randint(0, 8, (n,), generator=g)
    amp = 0.6 + torch.rand(n, 1, generator=g)
    x = amp * C[y] * torch.sign(torch.randn(n, 1, generator=g)) + 0.9 * torch.randn(n, 48, generator=g)
    return x, y


Xtr, ytr = windows(2400)
Xva, yva = windows(400)
Xte, yte = windows(600)


class Gesture(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.fc1 = nn.Linear(48, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)
        self.out = nn.Linear(width, 8)
        self.act = nn.ReLU()

    def forward(self, x):
        x = x.to(self.fc1.weight.dtype)
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        x = self.act(self.fc3(x))
        return self.out(x).float()


def model():
    net = Gesture()
    return net.bfloat16()


def data():
    for idx in torch.randperm(len(Xtr)).split(64):
        yield Xtr[idx], ytr[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)


def metric(model):
    with torch.no_grad():
        return (model(Xva).argmax(1) == yva).float().mean().item()


GOAL = 0.9
HIGHER_IS_BETTER = True
