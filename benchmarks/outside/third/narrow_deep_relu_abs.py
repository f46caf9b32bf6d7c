# Why can't my deep net learn y = |x|? It returns mean(y) for every x
import torch
from torch import nn


class Narrow(nn.Module):
    def __init__(self, width=2, depth=18):
        super().__init__()
        self.inp = nn.Linear(1, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.outp = nn.Linear(width, 1)

    def forward(self, x):
        x = self.inp(x).relu()
        for layer in self.hidden:
            x = layer(x).relu()
        return self.outp(x)


loss = nn.MSELoss()


def batch():
    x = torch.rand(128, 1) * 3.4 - 1.7
    return x, x.abs()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


if __name__ == "__main__":
    net = Narrow()
    opt = optimizer(net)
    for i in range(500):
        x, t = batch()
        opt.zero_grad()
        l = loss(net(x), t)
        l.backward()
        opt.step()
    print(l.item(), net(torch.tensor([[-1.0], [0.0], [1.0]])).flatten())
