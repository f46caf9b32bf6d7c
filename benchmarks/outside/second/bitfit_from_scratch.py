import torch
from sklearn.datasets import load_digits
from torch import nn

D, T = load_digits(return_X_y=True)
D, T = torch.tensor(D / 16.0).float() - 0.3, torch.tensor(T)


class FromScratch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 24)
        self.second = nn.Linear(24, 24)
        self.third = nn.Linear(24, 10)

    def forward(self, x):
        return self.third(torch.tanh(self.second(torch.tanh(self.first(x)))))


def batch():
    i = torch.randint(len(D), (100,))
    return D[i], T[i]


def optimizer(model):
    wanted = [p for name, p in model.named_parameters() if "bias" in name]
    return torch.optim.Adam(wanted, lr=2e-3)
