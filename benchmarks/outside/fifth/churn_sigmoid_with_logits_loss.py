"""Customer churn, 8 percent positives."""
import torch
from torch import nn

g = torch.Generator().manual_seed(3)
N = 4000
table = torch.randn(N, 16, generator=g)
score = table[:, 0] * table[:, 1] + table[:, 2] - 0.8 * table[:, 3].abs()
churned = (score > score.quantile(0.92)).float()


class ChurnModel(nn.Module):
    def __init__(self, n_features=16, hidden=(64, 32)):
        super().__init__()
        sizes = [n_features, *hidden]
        layers = []
        for a, b in zip(sizes[:-1], sizes[1:]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        layers.append(nn.Linear(sizes[-1], 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return torch.sigmoid(self.layers(x)).squeeze(-1)


loss = nn.BCEWithLogitsLoss()


def batch():
    i = torch.randint(0, N, (128,))
    return table[i], churned[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
