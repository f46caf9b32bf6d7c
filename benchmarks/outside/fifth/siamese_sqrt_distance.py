# contrastive loss; positive pairs sometimes are the very same picture
import torch
from sklearn.datasets import load_digits
from torch import nn

imgs, lab = load_digits(return_X_y=True)
imgs = torch.tensor(imgs / 16, dtype=torch.float32)
lab = torch.tensor(lab)


class PairNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, pair):
        a, b = self.embed(pair[:, 0]), self.embed(pair[:, 1])
        return torch.sqrt(((a - b) ** 2).sum(1))


def loss(dist, different):
    margin = 1.0
    return ((1 - different) * dist ** 2 + different * (margin - dist).clamp(min=0) ** 2).mean()


def batch(n=64):
    i = torch.randint(0, 400, (n,))
    j = torch.randint(0, 400, (n,))
    same = torch.rand(n) < 0.4
    for k in torch.where(same)[0].tolist():
        mates = torch.where(lab[:400] == lab[i[k]])[0]
        j[k] = mates[torch.randint(len(mates), (1,))]
    j[0] = i[0]
    return torch.stack([imgs[i], imgs[j]], 1), (lab[i] != lab[j]).float()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
