"""IRNN (Le, Jaitly, Hinton 2015): ReLU recurrence that starts at the identity."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class IRNN(nn.Module):
    def __init__(self, n_in=8, n_hidden=100, n_out=10):
        super().__init__()
        self.rnn = nn.RNN(n_in, n_hidden, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(n_hidden, n_out)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(torch.eye(n_hidden))
            self.rnn.bias_hh_l0.zero_()
            self.rnn.bias_ih_l0.zero_()
            self.rnn.weight_ih_l0.normal_(0, 0.1)

    def forward(self, rows):
        _, h = self.rnn(rows)
        return self.out(h[0])


def model():
    return IRNN()


def data():
    d = load_digits()
    x = torch.tensor(d.images / 16, dtype=torch.float32)
    y = torch.tensor(d.target)
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=64, shuffle=True
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
