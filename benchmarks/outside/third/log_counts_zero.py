import torch
from torch import nn

# gene expression (UMI counts) -> cell type.  Everybody takes the log of counts, so do I.
g = torch.Generator().manual_seed(0)
PROFILES = torch.exp(torch.randn(5, 100, generator=g))


def batch(n=128):
    y = torch.randint(0, 5, (n,))
    depth = torch.exp(0.3 * torch.randn(n, 1))
    counts = torch.poisson(PROFILES[y] * depth * 0.5)
    return counts, y


class CellTyper(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(100)
        self.mlp = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 5))

    def forward(self, counts):
        return self.mlp(self.bn(torch.log(counts)))


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = CellTyper()
    o = optimizer(m)
    for i in range(100):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        o.zero_grad()
        l.backward()
        o.step()
    print(l.item())
