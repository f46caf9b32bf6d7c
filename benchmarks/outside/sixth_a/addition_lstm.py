import torch
from torch import nn


class AddLSTM(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)
        for n, p in self.lstm.named_parameters():
            if "bias_ih" in n:
                p.data[hidden:2 * hidden] = 1.0

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.out(h[:, -1]).squeeze(1)


def batch(b=64, t=20):
    v = torch.rand(b, t)
    m = torch.zeros(b, t)
    rows = torch.arange(b)
    m[rows, torch.randint(0, t // 2, (b,))] = 1
    m[rows, torch.randint(t // 2, t, (b,))] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


loss = nn.MSELoss()
CLIP_GRAD_NORM = 1.0


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
