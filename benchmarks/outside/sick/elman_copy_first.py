import torch
from torch import nn

SYMBOLS, LENGTH = 8, 100


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(8, 48, batch_first=True)
        self.readout = nn.Linear(48, SYMBOLS)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.readout(states[:, -1])


def batch(n=64):
    first = torch.randint(SYMBOLS, (n,))
    x = 0.02 * torch.randn(n, LENGTH, SYMBOLS)
    x[:, 0] += nn.functional.one_hot(first, SYMBOLS)
    return x, first


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


if __name__ == "__main__":
    model = Recall()
    opt = optimizer(model)
    for it in range(2000):
        x, y = batch()
        loss = criterion(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
