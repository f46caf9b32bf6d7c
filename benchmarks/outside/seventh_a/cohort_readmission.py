"""30 day readmission, 25 standardised covariates."""
import torch
import torch.nn as nn

gen = torch.Generator().manual_seed(2024)
n, p = 700, 25
X = torch.randn(n, p, generator=gen)
beta = torch.randn(p, generator=gen)
risk = X @ beta * 0.6 + 1.5 * X[:, 0] * X[:, 1]
y = (risk > 0).float()

data = [(X[i:i + 100], y[i:i + 100, None]) for i in range(0, n, 100)]


class RiskModel(nn.Module):
    def __init__(self, hidden=(64, 32)):
        super().__init__()
        layers, d = [], p
        for h in hidden:
            layers += [nn.Linear(d, h), nn.ReLU()]
            d = h
        layers += [nn.Linear(d, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1.0)
