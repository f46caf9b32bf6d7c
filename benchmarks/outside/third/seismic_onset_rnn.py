"""Seismogram, 150 samples after the trigger: the polarity of the first arrivals tells the mechanism.

Plain Elman RNN, read at the end.
"""
import torch
import torch.nn as nn

T = 150
_pattern = torch.randn(3, 3, generator=torch.Generator().manual_seed(13))


def batch(n=64):
    y = torch.randint(0, 3, (n,))
    x = 0.5 * torch.randn(n, T, 3)
    ring = torch.exp(-torch.arange(T) / 4.0)
    x = x + 2.0 * ring[None, :, None] * _pattern[y][:, None]
    return x, y


class PolarityRNN(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.rnn = nn.RNN(3, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 3)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.out(y[:, -1])


CLIP_GRAD_NORM = 1.0


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    x, y = batch(500)
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    model = PolarityRNN()
    opt = optimizer(model)
    for i in range(200):
        x, y = batch()
        opt.zero_grad()
        l = nn.functional.cross_entropy(model(x), y)
        l.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_GRAD_NORM)
        opt.step()
    print(l.item(), metric(model))
