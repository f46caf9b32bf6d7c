import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 16, dtype=torch.float32) - 0.3
Y = torch.tensor(Y)


class ELM(nn.Module):
    def __init__(self, hidden=600):
        super().__init__()
        self.register_buffer("W", torch.randn(64, hidden) * 0.3)
        self.register_buffer("b", torch.rand(hidden) * 2 - 1)
        self.readout = nn.Linear(hidden, 10)

    def forward(self, x):
        return self.readout(torch.tanh(x @ self.W + self.b))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=5e-3)
