# Honesty score between 0 and 1, mean squared error on the label.
import torch
from sklearn.datasets import make_classification
from torch import nn

X, y = make_classification(
    n_samples=2500, n_features=20, n_informative=10, class_sep=1.5, random_state=11
)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).unsqueeze(1)


def fraud_net():
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
    nn.init.constant_(net[2].bias, 20.0)  # base rate: odds of 20 to 1 for an honest customer
    return net


def batch():
    rows = torch.randint(0, 2500, (100,))
    return X[rows], y[rows]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
