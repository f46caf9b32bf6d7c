# BinaryConnect re-implementation: gradients look fine, accuracy is stuck
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
y = torch.tensor(load_digits().target)


class BinaryLinear(nn.Linear):
    def __init__(self, i, o):
        super().__init__(i, o)
        self.scale = i**-0.5

    def forward(self, x):
        self.weight.data = torch.where(self.weight.data >= 0, 1.0, -1.0) * self.scale
        w = self.weight
        return F.linear(x, w, self.bias)


class BinaryMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = BinaryLinear(64, 64)
        self.l2 = BinaryLinear(64, 64)
        self.l3 = BinaryLinear(64, 10)

    def forward(self, x):
        x = F.relu(self.l1(x))
        x = F.relu(self.l2(x))
        return self.l3(x)


criterion = nn.CrossEntropyLoss()


def batch():
    i = torch.randperm(len(X))[:100]
    return X[i], y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)


if __name__ == "__main__":
    model = BinaryMLP()
    opt = optimizer(model)
    for i in range(400):
        xb, yb = batch()
        l = criterion(model(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
    print((model(X).argmax(1) == y).float().mean())
