import torch
from torch import nn

PAD = 0


class ReviewNet(nn.Module):
    def __init__(self, words=60, dim=24):
        super().__init__()
        self.emb = nn.Embedding(words, dim, padding_idx=PAD)
        self.fc = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, ids):
        mask = (ids != PAD).float()
        v = (self.emb(ids) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return self.fc(v)


def batch():
    ids = torch.randint(1, 60, (64, 12))
    length = torch.randint(0, 13, (64, 1))
    ids[torch.arange(12)[None] >= length] = PAD
    good = ((ids > 0) & (ids < 20)).sum(1) > (ids >= 40).sum(1)
    return ids, good.long()


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
