import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

cancer = load_breast_cancer()
feats = torch.tensor(StandardScaler().fit_transform(cancer.data), dtype=torch.float32)
benign = torch.tensor(cancer.target, dtype=torch.float32)


class SVMNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.phi = torch.nn.Linear(30, 40)
        self.w = torch.nn.Linear(40, 1)

    def forward(self, x):
        return self.w(F.relu(self.phi(x))).view(-1)


def batch():
    idx = torch.randint(len(feats), (64,))
    return feats[idx], benign[idx]


def loss(score, y):
    return F.soft_margin_loss(score, y)


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)
