"""Stamping press: which of four dies was mounted?

The die shows only in the first few samples of a cycle (the clamping), the rest of the
cycle is vibration. LSTM because the cycles will have different lengths one day.
Ported from our Keras prototype.
"""
import torch
from torch import nn

T = 90
DIES = 4


def cycles(n, seed):
    g = torch.Generator().manual_seed(seed)
    die = torch.randint(0, DIES, (n,), generator=g)
    x = 0.5 * torch.randn(n, T, 3, generator=g)
    signature = torch.tensor([[1.5, 1.5], [1.5, -1.5], [-1.5, 1.5], [-1.5, -1.5]])
    x[:, 1:6, :2] += signature[die][:, None]
    t = torch.arange(T) / T
    phase = 6.28 * torch.rand(n, 1, generator=g)
    x[:, :, 2] += torch.sin(50 * t + phase)  # the motor
    return x, die


class CycleLSTM(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.lstm = nn.LSTM(3, hidden, batch_first=True)
        self.head = nn.Linear(hidden, DIES)
        self.reset_parameters()

    def reset_parameters(self):
        # as keras does: glorot kernel, orthogonal recurrent kernel, zero bias
        nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
        nn.init.orthogonal_(self.lstm.weight_hh_l0)
        nn.init.zeros_(self.lstm.bias_ih_l0)
        nn.init.zeros_(self.lstm.bias_hh_l0)
        # unit_forget_bias=True
        h = self.lstm.hidden_size
        with torch.no_grad():
            self.lstm.bias_ih_l0[2 * h : 3 * h] = 1.0

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1])


X, Y = cycles(1500, 21)


def model():
    return CycleLSTM()


def data():
    for i in torch.randperm(len(X)).split(50):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
