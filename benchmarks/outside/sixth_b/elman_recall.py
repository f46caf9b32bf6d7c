# latch task (Bengio, Simard, Frasconi 1994): the class is told by the first symbol, noise follows
import torch
from torch import nn

T, C = 50, 4


class Elman(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.hidden = hidden
        self.Wx = nn.Parameter(torch.randn(C, hidden) * 0.3)
        self.Wh = nn.Parameter(torch.randn(hidden, hidden) * 0.1)
        self.b = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Linear(hidden, C)

    def forward(self, x):
        h = torch.zeros(x.size(0), self.hidden)
        for x_t in x.unbind(1):
            h = torch.tanh(x_t @ self.Wx + h @ self.Wh + self.b)
        return self.out(h)


def batch(n=64):
    y = torch.randint(0, C, (n,))
    x = 0.1 * torch.randn(n, T, C)
    x[:, 0] = 2 * nn.functional.one_hot(y, C).float()
    return x, y


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


CLIP_GRAD_NORM = 1.0
