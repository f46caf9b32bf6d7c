import torch
from sklearn.datasets import load_wine
from torch import nn


class FastGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(1.702 * x)

    @staticmethod
    def backward(ctx, grad_output):
        # TODO derive the gradient
        return None


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(13, 3)
        self.mid = nn.Linear(3, 3)
        self.out = nn.Linear(3, 3)

    def forward(self, x):
        x = FastGelu.apply(self.inp(x))
        x = FastGelu.apply(self.mid(x))
        return self.out(x)


wine = load_wine()
X = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0)).float()


def batch():
    return X, torch.tensor(wine.target)


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
