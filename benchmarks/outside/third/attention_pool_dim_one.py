# histology bags: which patch matters?  attention pooling after Ilse et al.
import torch
import torch.nn as nn
import torch.nn.functional as F


class AttentionPool(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, h):                       # h: bags x patches x d
        a = self.score(h)                       # bags x patches x 1
        a = F.softmax(a, dim=-1)
        return (a * h).sum(dim=1) / h.shape[1]


class MIL(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Sequential(nn.Linear(12, 32), nn.ReLU())
        self.pool = AttentionPool(32)
        self.slide = nn.Linear(32, 2)

    def forward(self, bag):
        return self.slide(self.pool(self.patch(bag)))


_w = torch.randn(12, generator=torch.Generator().manual_seed(11))


def batch(n=64, patches=60):
    bag = torch.randn(n, patches, 12)
    y = torch.randint(0, 2, (n,))
    direction = F.normalize(_w, dim=0)
    bag[:, 0] += 6.0 * direction + 0.0
    flavour = torch.zeros(12); flavour[3] = 3.0
    bag[:, 0] += torch.where(y[:, None] > 0, flavour, -flavour)
    return bag, y


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


def metric(net):
    x, y = batch(500)
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    net = MIL()
    opt = optimizer(net)
    for step in range(250):
        x, y = batch()
        opt.zero_grad()
        F.cross_entropy(net(x), y).backward()
        opt.step()
    print(metric(net))
