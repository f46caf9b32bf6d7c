import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

bc = load_breast_cancer()
table = torch.tensor(bc.data, dtype=torch.float32)  # areas go up to 4254, smoothness is about 0.1
benign = torch.tensor(bc.target, dtype=torch.float32)
rank = torch.randperm(len(table), generator=torch.Generator().manual_seed(17))
TRAIN, VALID, TEST = rank[:400], rank[400:480], rank[480:]


class ScanNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(30),
            nn.Linear(30, 20, bias=False),
            nn.BatchNorm1d(20),
            nn.Sigmoid(),
            nn.Linear(20, 12, bias=False),
            nn.BatchNorm1d(12),
            nn.Sigmoid(),
            nn.Linear(12, 1),
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def model():
    return ScanNet()


def data(seed=0):
    order = TRAIN[torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(seed))]
    for i in order.split(40):
        yield table[i], benign[i]


def loss(score, y):
    return nn.functional.binary_cross_entropy_with_logits(score, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = ((model(table[VALID]) > 0).float() == benign[VALID]).float().mean().item()
    model.train()
    return acc


GOAL = 0.88
HIGHER_IS_BETTER = True
