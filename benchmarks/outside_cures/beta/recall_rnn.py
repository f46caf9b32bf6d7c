"""Which of the four cues opened the sequence? An Elman network reads it and answers at the end."""

import torch
from torch import nn

LENGTH = 70
CUES = 4


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    cue = torch.randint(CUES, (n,), generator=g)
    x = torch.zeros(n, LENGTH, CUES + 2)
    x[torch.arange(n), 0, cue] = 1.0
    x[:, 1:, CUES:] = 0.5 * torch.randn(n, LENGTH - 1, 2, generator=g)
    return x, cue


X, Y = make(1500, 0)
XV, YV = make(400, 1)


class Net(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.rnn = nn.RNN(CUES + 2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, CUES)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h[:, -1])


def model():
    return Net()


def data(seed=0):
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    for idx in order.split(64):
        yield X[idx], Y[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


GOAL = 0.8
HIGHER_IS_BETTER = True


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(XV).argmax(1) == YV).float().mean().item()
