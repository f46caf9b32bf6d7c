import torch
from torch import nn

V, TOPICS = 60, 6


class SkipGram(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.inp = nn.Embedding(V, d)
        self.out = nn.Embedding(V, d)
        nn.init.uniform_(self.inp.weight, -0.5, 0.5)
        nn.init.zeros_(self.out.weight)

    def forward(self, pairs):
        return (self.inp(pairs[:, 0]) * self.out(pairs[:, 1])).sum(-1)


def batch(n=256):
    centre = torch.randint(0, V, (n,))
    near = centre % TOPICS + TOPICS * torch.randint(0, V // TOPICS, (n,))
    rand = torch.randint(0, V, (n,))
    real = (torch.rand(n) < 0.5)
    return torch.stack([centre, torch.where(real, near, rand)], 1), (real).float()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
