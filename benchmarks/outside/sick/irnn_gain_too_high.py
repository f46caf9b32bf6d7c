import torch
from torch import nn


class CountingRNN(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(1.6 * torch.eye(hidden))
            self.rnn.bias_hh_l0.zero_()
            self.rnn.bias_ih_l0.zero_()
            self.rnn.weight_ih_l0.normal_(0, 0.01)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1]).squeeze(1)


def batch(n=64, T=60):
    values = torch.rand(n, T)
    marks = torch.zeros(n, T)
    a = torch.randint(0, T // 2, (n,))
    b = torch.randint(T // 2, T, (n,))
    rows = torch.arange(n)
    marks[rows, a] = 1
    marks[rows, b] = 1
    return torch.stack([values, marks], dim=2), values[rows, a] + values[rows, b]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
