import torch
from torch import nn

N_ENT, N_REL = 40, 3


class TransE(nn.Module):
    """Knowledge graph embedding; entities on a ring, relations are jumps."""

    def __init__(self, dim=16):
        super().__init__()
        self.ent = nn.Embedding(N_ENT, dim)
        self.rel = nn.Embedding(N_REL, dim)

    def score(self, h, r, t):
        # keep entity vectors on the unit ball without tracking
        diff = self.ent(h).data + self.rel(r) - self.ent(t).data
        return diff.pow(2).sum(-1)

    def forward(self, h, r, t, t_neg):
        return torch.relu(1 + self.score(h, r, t) - self.score(h, r, t_neg)).mean()


def batch(n=256):
    h = torch.randint(0, N_ENT, (n,))
    r = torch.randint(0, N_REL, (n,))
    t = (h + torch.tensor([1, 3, 7])[r]) % N_ENT
    return {"h": h, "r": r, "t": t, "t_neg": torch.randint(0, N_ENT, (n,))}


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
