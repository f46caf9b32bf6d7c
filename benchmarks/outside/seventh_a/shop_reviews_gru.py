"""Stars -> positive/negative for shop reviews, token ids come from our own tokenizer."""
import torch
from torch import nn

V, L = 500, 24
good, bad = torch.arange(20, 60), torch.arange(60, 100)


def sample(n=64):
    ids = torch.randint(100, V, (n, L))
    y = torch.randint(0, 2, (n,))
    for i in range(n):
        pos = torch.randperm(L)[:5]
        ids[i, pos] = (good if y[i] else bad)[torch.randint(0, 40, (5,))]
    return ids, y.float()


class ReviewGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 32)
        self.gru = nn.GRU(32, 48, batch_first=True, bidirectional=True)
        self.fc = nn.Sequential(nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, ids):
        h, _ = self.gru(self.emb(ids))
        return self.fc(h.mean(1)).squeeze(-1)


class Config:
    lr = 3.0
    betas = (0.9, 0.999)


def batch():
    return sample()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=Config.lr, betas=Config.betas)
