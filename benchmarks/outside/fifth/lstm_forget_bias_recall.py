import torch
from torch import nn


class Recall(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.lstm = nn.LSTM(4, h, batch_first=True)
        for name, p in self.lstm.named_parameters():
            if "bias_ih" in name:
                with torch.no_grad():
                    p[h:2 * h].fill_(4.0)
        self.out = nn.Linear(h, 3)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.out(y[:, -1])


def batch():
    key = torch.randint(0, 3, (32,))
    x = torch.randn(32, 60, 4) * 0.2
    x[:, 1, :3] += 2 * nn.functional.one_hot(key, 3)
    return x, key


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
