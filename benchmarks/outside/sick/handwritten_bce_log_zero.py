import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

data_ = load_breast_cancer()
X = torch.tensor(data_.data, dtype=torch.float32)
y = torch.tensor(data_.target, dtype=torch.float32)


class LogReg(nn.Module):
    def __init__(self, n=30):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n, 20) * 0.3)
        self.v = nn.Parameter(torch.randn(20) * 0.3)
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        h = torch.relu(x @ self.w)
        return 1 / (1 + torch.exp(-(h @ self.v + self.b)))


def loss(p, t):
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


def batch():
    return X, y


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
