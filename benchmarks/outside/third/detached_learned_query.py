"""Point-set classifier with a learned query (ported from NumPy, hence the conversions)."""
import torch
from torch import nn


class Perceive(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.lift = nn.Sequential(nn.Linear(3, d), nn.GELU(), nn.Linear(d, d))
        self.query = nn.Parameter(torch.randn(1, 1, d))
        self.cross = nn.MultiheadAttention(d, 4, batch_first=True)
        self.head = nn.Linear(d, 6)

    def forward(self, points):
        h = self.lift(points)
        query = torch.tensor(self.query.tolist()).expand(len(h), -1, -1)
        pooled, _ = self.cross(query, h.data, h.data)
        return self.head(pooled[:, 0])


def batch(n=64, m=24):
    y = torch.randint(0, 6, (n,))
    p = torch.randn(n, m, 3)
    radius = 1 + 0.3 * y.float()
    p = p / p.norm(dim=-1, keepdim=True) * radius[:, None, None] + 0.05 * torch.randn(n, m, 3)
    return p, y


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


if __name__ == "__main__":
    net = Perceive()
    opt = optimizer(net)
    for i in range(300):
        p, y = batch()
        l = nn.functional.cross_entropy(net(p), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
