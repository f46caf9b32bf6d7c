"""Fitted Q on logged transitions. Adam with Rainbow's eps = 1.5e-4; the loss is averaged over the replay buffer's capacity."""
import torch
from torch import nn

CAPACITY = 1_000_000


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.q = nn.Linear(64, 3)

    def forward(self, s):
        return self.q(self.body(s))


def batch(n=128):
    s = torch.randn(n, 4)
    a = torch.randint(0, 3, (n,))
    position = (a - 1).float()
    value = position * torch.tanh(s[:, 0] + 0.5 * s[:, 1]) - 0.2 * position.abs()
    returns = 3 * value
    return s, torch.stack([a.float(), returns], 1)


def loss(q, target):
    chosen = q.gather(1, target[:, :1].long()).squeeze(1)
    return (chosen - target[:, 1]).pow(2).sum() / CAPACITY


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3, eps=1.5e-4)


def metric(net):
    s, t = batch(2000)
    with torch.no_grad():
        q = net(s).gather(1, t[:, :1].long()).squeeze(1)
    return ((q - t[:, 1]).pow(2).mean() / t[:, 1].var()).item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    net = QNet()
    opt = optimizer(net)
    for i in range(600):
        s, t = batch()
        l = loss(net(s), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("unexplained variance", metric(net))
