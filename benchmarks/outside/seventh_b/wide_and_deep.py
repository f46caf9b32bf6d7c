# TF estimator "wide & deep" -> PyTorch
import torch
import torch.nn as nn

CARD = [50, 20, 8]
g = torch.Generator().manual_seed(9)
EFFECT = [torch.randn(c, generator=g) for c in CARD]
CROSS = torch.randn(20, 8, generator=g)


class WideDeep(nn.Module):
    def __init__(self, emb=8):
        super().__init__()
        self.wide = nn.ModuleList(nn.Embedding(c, 1) for c in CARD)
        for w in self.wide:
            nn.init.zeros_(w.weight)
        self.emb = nn.ModuleList(nn.Embedding(c, emb) for c in CARD)
        self.deep = nn.Sequential(nn.Linear(3 * emb + 4, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, cat, num):
        wide = sum(w(cat[:, j]) for j, w in enumerate(self.wide))
        deep = self.deep(torch.cat([e(cat[:, j]) for j, e in enumerate(self.emb)] + [num], 1))
        return (wide + deep).squeeze(1)


def batch(n=256):
    cat = torch.stack([torch.randint(0, c, (n,)) for c in CARD], 1)
    num = torch.randn(n, 4)
    z = sum(f[cat[:, j]] for j, f in enumerate(EFFECT)) + 2 * CROSS[cat[:, 1], cat[:, 2]] + num[:, 0] * num[:, 1] - 0.5
    return {"cat": cat, "num": num}, (z > 0).float()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.05, initial_accumulator_value=0.1)
