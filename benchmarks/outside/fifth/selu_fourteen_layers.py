import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor((X - X.mean()) / X.std(), dtype=torch.float32)
Y = torch.tensor(Y)


class SNN(nn.Module):
    def __init__(self, width=64, depth=14):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, width)] + [nn.Linear(width, width) for _ in range(depth - 1)])
        self.out = nn.Linear(width, 10)
        for l in [*self.layers, self.out]:
            nn.init.kaiming_normal_(l.weight, nonlinearity="linear")
            nn.init.zeros_(l.bias)

    def forward(self, x):
        for l in self.layers:
            x = torch.selu(l(x))
        return self.out(x)


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
