# equalised learning rate (as in the progressive GAN code), here for a plain classifier
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class EqualizedLinear(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.scale = (2.0 / n_in) ** 0.5

    def forward(self, x):
        return F.linear(x, self.weight.data * self.scale, self.bias)


class EqualizedMLP(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.l1 = EqualizedLinear(64, width)
        self.l2 = EqualizedLinear(width, width)
        self.l3 = EqualizedLinear(width, 10)

    def forward(self, x):
        x = F.leaky_relu(self.l1(x), 0.2)
        x = F.leaky_relu(self.l2(x), 0.2)
        return self.l3(x)


X, y = load_digits(return_X_y=True)
X = torch.tensor((X - X.mean()) / X.std(), dtype=torch.float32)
y = torch.tensor(y)


def batch():
    i = torch.randint(0, len(X), (100,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)
