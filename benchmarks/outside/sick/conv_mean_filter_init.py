import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.f1 = nn.Linear(24 * 2 * 2, 40)
        self.f2 = nn.Linear(40, 10)
        with torch.no_grad():
            for m in (self.c1, self.c2, self.f1, self.f2):
                fan_in = m.weight[0].numel()
                m.weight.fill_(1.0 / fan_in)
                m.bias.zero_()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.f2(F.relu(self.f1(x.flatten(1))))


D = load_digits()


def data():
    x = torch.tensor(D.images / 16.0, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(D.target, dtype=torch.long)
    order = torch.randperm(len(y))
    for s in range(0, len(y), 128):
        yield x[order[s : s + 128]], y[order[s : s + 128]]


def loss(o, t):
    return F.nll_loss(F.log_softmax(o, -1), t)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)
