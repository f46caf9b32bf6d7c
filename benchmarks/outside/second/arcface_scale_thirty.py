import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

imgs, ids = load_digits(return_X_y=True)
imgs, ids = torch.tensor(imgs / 16).float(), torch.tensor(ids)


class ArcFace(nn.Module):
    def __init__(self, s=30.0):
        super().__init__()
        self.s = s
        self.backbone = nn.Sequential(
            nn.Linear(64, 128),
            nn.BatchNorm1d(128),
            nn.PReLU(),
            nn.Linear(128, 32),
            nn.BatchNorm1d(32),
        )
        self.centres = nn.Parameter(torch.empty(10, 32))
        nn.init.xavier_uniform_(self.centres)

    def forward(self, x):
        return F.linear(F.normalize(self.backbone(x)), F.normalize(self.centres)).clamp(
            -1 + 1e-6, 1 - 1e-6
        )


def batch():
    i = torch.randint(len(imgs), (128,))
    return imgs[i], ids[i]


def loss(cosine, y, s=30.0, m=0.3):
    theta = cosine.acos()
    hot = F.one_hot(y, 10).bool()
    return F.cross_entropy(s * torch.where(hot, (theta + m).cos(), cosine), y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
