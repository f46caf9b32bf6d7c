import torch
import torch.nn.functional as F
from torch import nn


class SpectralConv(nn.Module):
    def __init__(self, c, modes):
        super().__init__()
        self.modes = modes
        self.w = nn.Parameter(torch.rand(c, c, modes, dtype=torch.cfloat) / (c * c))

    def forward(self, x):
        xf = torch.fft.rfft(x)
        out = torch.zeros_like(xf)
        out[:, :, : self.modes] = torch.einsum("bim,iom->bom", xf[:, :, : self.modes], self.w)
        return torch.fft.irfft(out, n=x.shape[-1])


class FNO1d(nn.Module):
    def __init__(self, width=16, modes=8, layers=3):
        super().__init__()
        self.lift = nn.Conv1d(1, width, 1)
        self.spec = nn.ModuleList(SpectralConv(width, modes) for _ in range(layers))
        self.skip = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(layers))
        self.proj = nn.Conv1d(width, 1, 1)

    def forward(self, x):
        x = self.lift(x)
        for s, w in zip(self.spec, self.skip):
            x = F.gelu(s(x) + w(x))
        return self.proj(x)


def batch(n=24, m=64):
    f = torch.fft.rfft(torch.randn(n, 1, m))
    f[..., 6:] = 0
    u = torch.fft.irfft(f, n=m) * 2
    return u, torch.roll(u, 9, -1) * u.roll(9, -1).abs().clamp(max=2) / 2


def loss(p, t):
    return (p - t).flatten(1).norm(dim=1).div(t.flatten(1).norm(dim=1)).mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)
