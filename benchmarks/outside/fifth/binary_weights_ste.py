import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 8 - 1, dtype=torch.float32)
Y = torch.tensor(Y)


class SignSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= 1).float()


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, SignSTE.apply(self.weight)) / self.in_features ** 0.5


class BinaryMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.b1 = BinaryLinear(64, 128, bias=False), nn.BatchNorm1d(128)
        self.l2, self.b2 = BinaryLinear(128, 128, bias=False), nn.BatchNorm1d(128)
        self.l3 = nn.Linear(128, 10)

    def forward(self, x):
        x = SignSTE.apply(self.b1(self.l1(x)))
        x = SignSTE.apply(self.b2(self.l2(x)))
        return self.l3(x)


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
