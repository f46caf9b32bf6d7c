"""1-Lipschitz regression: orthogonal weights by parametrisation, MaxMin (GroupSort-2) activation, 8 layers."""
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal


class MaxMin(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([torch.maximum(a, b), torch.minimum(a, b)], -1)


def lipschitz_net(width=32, depth=7):
    mods = [orthogonal(nn.Linear(4, width)), MaxMin()]
    for _ in range(depth - 1):
        mods += [orthogonal(nn.Linear(width, width)), MaxMin()]
    return nn.Sequential(*mods, orthogonal(nn.Linear(width, 1)), nn.Flatten(0))


def batch(n=128):
    x = torch.randn(n, 4)
    return x, x.abs().sum(1) / 2 - x[:, 0].clamp(-1, 1) / 4


loss = nn.MSELoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=3e-3)


if __name__ == "__main__":
    net = lipschitz_net()
    opt = optimizer(net)
    for i in range(300):
        x, y = batch()
        l = loss(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
