# emergent communication toy: sender names one of 12 symbols, receiver guesses the digit
import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 16.0, dtype=torch.float32)
Y = torch.tensor(Y)


class SymbolNet(nn.Module):
    def __init__(self, vocab=12, dim=32):
        super().__init__()
        self.speaker = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, vocab))
        self.embed = nn.Embedding(vocab, dim)
        self.listener = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        symbols = self.speaker(x).argmax(-1)
        return self.listener(self.embed(symbols))


def loss(guess, truth):
    return nn.functional.cross_entropy(guess, truth)


def batch():
    i = torch.randint(0, len(X), (128,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
