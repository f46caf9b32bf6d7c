"""CRM scoring job: one shared trunk, two answers per customer.

    churn  - will the customer leave within 90 days (0/1)
    spend  - how much the customer will spend within 90 days (EUR)

Runs nightly; the two old single models are replaced by this one.
"""
import torch
import torch.nn.functional as F
from torch import nn

N_FEATURES = 12
CLIP_GRAD_NORM = 5.0


def customers(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, N_FEATURES, generator=g)
    risk = 2.2 * x[:, 0] * x[:, 1] + 1.5 * x[:, 2].abs() - 1.2 + x[:, 3]
    churn = (torch.rand(n, generator=g) < torch.sigmoid(2 * risk)).float()
    spend = 400 * torch.exp(0.5 * x[:, 4] + 0.3 * x[:, 5] * x[:, 6]) + 40 * torch.randn(n, generator=g)
    return x, torch.stack([churn, spend], dim=1)


class CustomerNet(nn.Module):
    def __init__(self, width=48, code=16):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(N_FEATURES, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, code), nn.ReLU(),
        )
        self.churn_head = nn.Linear(code, 1)
        self.spend_head = nn.Linear(code, 1)

    def forward(self, x):
        z = self.trunk(x)
        return torch.cat([self.churn_head(z), self.spend_head(z)], dim=1)


def joint_loss(out, target):
    churn = F.binary_cross_entropy_with_logits(out[:, 0], target[:, 0])
    spend = F.mse_loss(out[:, 1], target[:, 1])
    return churn + spend


X, Y = customers(4000, seed=20240101)


def model():
    return CustomerNet()


def data():
    for rows in torch.randperm(len(X)).split(128):
        yield X[rows], Y[rows]


loss = joint_loss


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
