"""Set transformer on voters; a third of the training labels were entered wrongly."""

import torch
from torch import nn

MEMBERS = 7


def survey(n, seed, wrong=0.0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, MEMBERS, 3, generator=g)
    y = ((x[..., 0] * (x[..., 1] > 0)).sum(1) > 0).long()
    flip = (torch.rand(n, generator=g) < wrong).long()
    return x, (y + flip) % 2


class SetTransformer(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.lift = nn.Sequential(nn.Linear(3, d), nn.ReLU())
        self.attn = nn.MultiheadAttention(d, 4, batch_first=True)
        self.norm = nn.LayerNorm(d)
        self.out = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 2))

    def forward(self, x):
        h = self.lift(x)
        h = self.norm(h + self.attn(h, h, h, need_weights=False)[0])
        return self.out(h.sum(1))


def model():
    return SetTransformer()


X, Y = survey(5000, 0, wrong=0.33)
X_clean, Y_clean = survey(500, 1)


def data(seed=0):
    for i in torch.randperm(5000, generator=torch.Generator().manual_seed(seed)).split(100):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    """Accuracy on checked labels."""
    model.eval()
    with torch.no_grad():
        return (model(X_clean).argmax(1) == Y_clean).float().mean().item()


GOAL = 0.7
HIGHER_IS_BETTER = True
