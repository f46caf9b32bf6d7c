# Same or different digit? Contrastive loss with a margin, shared CNN
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

d = load_digits()
IMG = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
LAB = torch.tensor(d.target)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(16, 32, 3), nn.ReLU()
        )
        self.fc = nn.Sequential(nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward_once(self, x):
        return self.fc(self.cnn(x).flatten(1))

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, output, label):
        dist = F.pairwise_distance(*output)
        return torch.mean(
            (1 - label) * dist.pow(2) + label * torch.clamp(self.margin - dist, min=0.0).pow(2)
        )


criterion = ContrastiveLoss()


def batch(n=64):
    i = torch.randint(0, 1797, (n,))
    same = torch.rand(n) < 0.5
    eq = (LAB[i][:, None] == LAB[None]).float()
    j = torch.multinomial(torch.where(same[:, None], eq, 1 - eq), 1).squeeze(1)
    return (IMG[i], IMG[j]), (~same).float()


def model():
    return SiameseNetwork()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
