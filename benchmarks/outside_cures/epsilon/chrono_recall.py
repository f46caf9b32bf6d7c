"""Long recall with chrono initialisation (Tallec & Ollivier 2018).

Two bits come at the start of 50 noisy steps; which pair it was is asked at the end.
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

T = 50


def make_split(n, seed):
    g = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (n, 2), generator=g)
    seq = torch.zeros(n, T, 2)
    seq[:, :, 0] = 0.1 * torch.randn(n, T, generator=g)
    seq[:, 0, 0] = 2.0 * bits[:, 0] - 1
    seq[:, 1, 0] = 2.0 * bits[:, 1] - 1
    seq[:, :2, 1] = 1.0  # "look here"
    return seq, 2 * bits[:, 0] + bits[:, 1]


class ChronoLSTM(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 4)
        with torch.no_grad():
            self.lstm.bias_hh_l0.zero_()
            b = self.lstm.bias_ih_l0.zero_()
            u = torch.empty(hidden).uniform_(1, T - 1).log()
            b[:hidden] = -u  # input gate, nearly closed
            b[hidden : 2 * hidden] = u  # forget gate, nearly open

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.out(h[-1])


loader = DataLoader(TensorDataset(*make_split(1600, 0)), batch_size=64, shuffle=True)
data = loader
criterion = nn.CrossEntropyLoss()
X_DEV, Y_DEV = make_split(300, 1)


def model():
    return ChronoLSTM()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def metric(model):
    with torch.no_grad():
        return (model(X_DEV).argmax(-1) == Y_DEV).float().mean().item()


GOAL = 0.9
HIGHER_IS_BETTER = True
