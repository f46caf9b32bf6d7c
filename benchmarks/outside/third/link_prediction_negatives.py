"""Link prediction on a stochastic block graph: two GraphSAGE layers, dot product, BCE with negative samples."""
import torch
from torch import nn
import torch.nn.functional as F

N, K = 120, 4
_gen = torch.Generator().manual_seed(0)
group = torch.arange(N) % K
prob = torch.where(group[:, None] == group[None], 0.25, 0.01)
ADJ = (torch.rand(N, N, generator=_gen) < prob).float().triu(1)
EDGES = ADJ.nonzero()
ADJ = ADJ + ADJ.T
MEAN = ADJ / ADJ.sum(1, keepdim=True).clamp_min(1)


class SAGE(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.node = nn.Embedding(N, d)
        self.self1, self.nei1 = nn.Linear(d, d), nn.Linear(d, d, bias=False)
        self.self2, self.nei2 = nn.Linear(d, d), nn.Linear(d, d, bias=False)

    def forward(self, pairs):
        h = self.node.weight
        h = F.relu(self.self1(h) + self.nei1(MEAN @ h))
        h = self.self2(h) + self.nei2(MEAN @ h)
        return (h[pairs[:, 0]] * h[pairs[:, 1]]).sum(-1)


def batch(n=128):
    pos = EDGES[torch.randint(0, len(EDGES), (n,))]
    neg = torch.randint(0, N, (n, 2))
    return torch.cat([pos, neg]), torch.cat([torch.ones(n), torch.zeros(n)])


loss = nn.BCEWithLogitsLoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)


if __name__ == "__main__":
    m = SAGE()
    opt = optimizer(m)
    for i in range(300):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad(); l.backward(); opt.step()
    print(l.item())
