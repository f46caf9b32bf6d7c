import torch
from torch import nn

SIZES = (50, 20, 8)
gen = torch.Generator().manual_seed(9)
taste = [torch.randn(n, 3, generator=gen) for n in SIZES]


class DLRM(nn.Module):
    def __init__(self, dense=4, d=12):
        super().__init__()
        self.emb = nn.ModuleList(nn.EmbeddingBag(n, d, mode="sum") for n in SIZES)
        for e, n in zip(self.emb, SIZES):
            nn.init.uniform_(e.weight, -(n**-0.5), n**-0.5)
        self.bottom = nn.Sequential(nn.Linear(dense, 32), nn.ReLU(), nn.Linear(32, d), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(d + 6, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, dense, ids):
        b = self.bottom(dense)
        vectors = torch.stack([b] + [e(ids[:, k : k + 1]) for k, e in enumerate(self.emb)], 1)
        z = vectors @ vectors.transpose(1, 2)
        i, j = torch.triu_indices(4, 4, offset=1)
        return self.top(torch.cat([b, z[:, i, j]], 1)).squeeze(1)


criterion = nn.BCEWithLogitsLoss()


def batch(n=256):
    dense = torch.randn(n, 4)
    ids = torch.stack([torch.randint(0, s, (n,)) for s in SIZES], 1)
    a, b, c = (taste[k][ids[:, k]] for k in range(3))
    score = (a * b).sum(1) + (b * c).sum(1) + dense[:, 0]
    return (dense, ids), (score > 0).float()


def optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.05)
