# digits labelled by a cheap crowd: about 35 % of the training labels are wrong
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

_b = load_digits()
imgs = torch.tensor(_b.images, dtype=torch.float32).unsqueeze(1) / 16
gold = torch.tensor(_b.target)
_g = torch.Generator().manual_seed(99)
_p = torch.randperm(len(gold), generator=_g)
train_idx, check_idx, final_idx = _p[:1300], _p[1300:1500], _p[1500:]
crowd = gold.clone()
_wrong = torch.rand(len(gold), generator=_g) < 0.35
crowd[_wrong] = (gold[_wrong] + torch.randint(1, 10, (int(_wrong.sum()),), generator=_g)) % 10


class CrowdNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(16 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


def model():
    return CrowdNet()


def data():
    for b in train_idx[torch.randperm(len(train_idx))].split(50):
        yield imgs[b], crowd[b]


def loss(logits, y):
    return F.cross_entropy(logits, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    """accuracy against the gold labels"""
    model.eval()
    with torch.no_grad():
        acc = (model(imgs[check_idx]).argmax(1) == gold[check_idx]).float().mean().item()
    model.train()
    return acc
