# My custom layer's weights don't change during training (grad is there, I checked!)
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
y = torch.tensor(load_digits().target)


class MyLinear(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = (torch.randn(n_out, n_in) / n_in**0.5).requires_grad_()
        self.bias = torch.zeros(n_out, requires_grad=True)

    def forward(self, x):
        return x @ self.weight.T + self.bias


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = MyLinear(64, 5)
        self.l2 = MyLinear(5, 5)
        self.classifier = nn.Linear(5, 10)

    def forward(self, x):
        x = torch.tanh(self.l1(x))
        x = torch.tanh(self.l2(x))
        return self.classifier(x)


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def batch(n=64):
    i = torch.randint(len(X), (n,))
    return X[i], y[i]


if __name__ == "__main__":
    model = Model()
    before = model.l1.weight.clone()
    opt = optimizer(model)
    for _ in range(200):
        xb, yb = batch()
        opt.zero_grad()
        criterion(model(xb), yb).backward()
        opt.step()
    print("changed:", not torch.equal(before, model.l1.weight))
