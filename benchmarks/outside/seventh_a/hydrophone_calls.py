import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# underwater recordings, four call types that differ in how the chirp bends
SR = 256


def make_call(kind, rng):
    t = np.arange(SR) / SR
    f0, slope = [(20, 30), (50, -30), (25, 0), (60, 10)][kind]
    f0 = f0 + rng.uniform(-4, 4)
    s = np.sin(2 * np.pi * (f0 * t + 0.5 * slope * t ** 2) + rng.uniform(0, 6.28))
    return s + 1.2 * rng.standard_normal(SR)


class LearnedFilterbank(nn.Module):
    """gabor-like filters learned on the waveform, then a smoothed envelope"""

    def __init__(self, n=2, width=25):
        super().__init__()
        self.filters = nn.Conv1d(1, n, width, padding=width // 2, bias=False)

    def forward(self, wav):
        y = self.filters(wav.unsqueeze(1))
        env = np.abs(y.detach().cpu().numpy())
        kernel = np.hanning(31) / np.hanning(31).sum()
        env = np.apply_along_axis(lambda r: np.convolve(r, kernel, mode="same"), 2, env)
        return torch.tensor(env[:, :, 32::64], dtype=torch.float32)


class CallNet(nn.Module):
    def __init__(self, n_filters=2):
        super().__init__()
        self.bank = LearnedFilterbank(n_filters)
        self.lin = nn.Linear(n_filters * 4, 4)

    def forward(self, wav):
        z = self.bank(wav)
        z = torch.log(z + 1e-3)
        return self.lin(z.flatten(1))


_rng = np.random.default_rng(5)


def batch():
    kinds = _rng.integers(0, 4, 32)
    x = np.stack([make_call(k, _rng) for k in kinds])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(kinds)


def loss(logits, y):
    return F.cross_entropy(logits, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), 3e-3)
