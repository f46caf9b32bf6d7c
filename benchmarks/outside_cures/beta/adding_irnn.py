"""The adding problem with a ReLU recurrence written by hand."""

import torch
from torch import nn

STEPS_IN_TIME = 40


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    values = torch.rand(n, STEPS_IN_TIME, generator=g)
    marks = torch.zeros(n, STEPS_IN_TIME)
    half = STEPS_IN_TIME // 2
    rows = torch.arange(n)
    first, second = torch.randint(half, (n,), generator=g), torch.randint(half, STEPS_IN_TIME, (n,), generator=g)
    marks[rows, first] = 1
    marks[rows, second] = 1
    return torch.stack([values, marks], 2), (values * marks).sum(1, keepdim=True)


class ReluRNN(nn.Module):
    def __init__(self, n=40):
        super().__init__()
        self.n = n
        self.w_in = nn.Parameter(torch.randn(2, n) * 0.5)
        self.w_rec = nn.Parameter(torch.randn(n, n) * 0.4)
        self.bias = nn.Parameter(torch.zeros(n))
        self.readout = nn.Linear(n, 1)

    def forward(self, x):
        h = torch.zeros(x.shape[0], self.n)
        for t in range(x.shape[1]):
            h = torch.relu(x[:, t] @ self.w_in + h @ self.w_rec + self.bias)
        return self.readout(h)


def model():
    return ReluRNN()


X, Y = make(2000, 0)
X_val, Y_val = make(300, 1)


def data(seed=0):
    for i in torch.randperm(2000, generator=torch.Generator().manual_seed(seed)).split(50):
        yield X[i], Y[i]


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


CLIP_GRAD_NORM = 1.0


def metric(model):
    """R squared on the validation sequences."""
    with torch.no_grad():
        return (1 - (model(X_val) - Y_val).pow(2).mean() / Y_val.var()).item()


HIGHER_IS_BETTER = True
GOAL = 0.6
