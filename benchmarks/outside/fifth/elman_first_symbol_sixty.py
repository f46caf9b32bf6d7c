import torch
import torch.nn as nn


class ElmanNet(nn.Module):
    """classic RNN tutorial"""

    def __init__(self, input_size=6, hidden_size=48, n_out=6):
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, n_out)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1, :])


def batch():
    first = torch.randint(0, 6, (32,))
    x = 0.3 * torch.randn(32, 60, 6)
    x[:, 0] = nn.functional.one_hot(first, 6).float()
    return x, first


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
