import torch
from torch import nn


class Cell(nn.Module):
    def __init__(self, n_in, n_hidden, forget_bias=6.0):
        super().__init__()
        self.forget_bias = forget_bias
        self.gates = nn.Linear(n_in + n_hidden, 4 * n_hidden)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f - self.forget_bias) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Counter(nn.Module):
    """sum of the marked numbers in a row of 20"""

    def __init__(self, hidden=32):
        super().__init__()
        self.hidden = hidden
        self.cell = Cell(2, hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        h = c = x.new_zeros(x.size(0), self.hidden)
        for step in x.unbind(1):
            h, c = self.cell(step, (h, c))
        return self.head(h)


def batch():
    values = torch.rand(64, 20)
    marks = torch.zeros(64, 20)
    marks.scatter_(1, torch.rand(64, 16).topk(2).indices, 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(1, keepdim=True)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
