# Regression for the process group. Sigmoid because "outputs stay between 0 and 1".
import torch
from sklearn.datasets import make_friedman1
from torch import nn, optim

features, target = make_friedman1(2000, n_features=10, noise=0.3, random_state=1)
features = torch.from_numpy(features).float()
target = torch.from_numpy((target - target.mean()) / target.std()).float().unsqueeze(1)

HIDDEN = 40


class SigmoidRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(10, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, HIDDEN), nn.Sigmoid(),
            nn.Linear(HIDDEN, 1),
        )

    def forward(self, x):
        return self.net(x)


def batch():
    rows = torch.randperm(2000)[:100]
    return features[rows], target[rows]


loss_fn = nn.MSELoss()


def optimizer(model):
    return optim.SGD(model.parameters(), lr=0.05)
