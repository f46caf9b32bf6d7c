import torch
import torch.nn.functional as F
from torch import nn


class S4DLayer(nn.Module):
    def __init__(self, d, n=16):
        super().__init__()
        self.log_dt = nn.Parameter(torch.empty(d).uniform_(-5, -2.3))
        self.log_a_re = nn.Parameter(torch.log(0.5 * torch.ones(d, n)))
        self.a_im = nn.Parameter(3.1416 * torch.arange(n).repeat(d, 1).float())
        self.c = nn.Parameter(torch.randn(d, n, 2) * 0.7)
        self.skip = nn.Parameter(torch.randn(d))
        self.mix = nn.Linear(d, 2 * d)

    def forward(self, u):
        t = torch.arange(u.shape[1])
        da = torch.complex(-self.log_a_re.exp(), self.a_im) * self.log_dt.exp()[:, None]
        c = (
            torch.view_as_complex(self.c)
            * (da.exp() - 1)
            / torch.complex(-self.log_a_re.exp(), self.a_im)
        )
        k = 2 * torch.einsum("dn,dnt->dt", c, torch.exp(da[..., None] * t)).real
        size = 2 * u.shape[1]
        v = torch.fft.irfft(torch.fft.rfft(u, size, 1) * torch.fft.rfft(k.T, size, 0), size, 1)[
            :, : u.shape[1]
        ]
        return F.glu(self.mix(F.gelu(v + u * self.skip)), -1)


class S4D(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.inp, self.out = nn.Linear(1, d), nn.Linear(d, 3)
        self.layers = nn.ModuleList(S4DLayer(d) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(2))

    def forward(self, x):
        h = self.inp(x)
        for layer, norm in zip(self.layers, self.norms):
            h = h + layer(norm(h))
        return self.out(h.mean(1))


def batch(n=32, t=100):
    y = torch.randint(3, (n,))
    f = torch.tensor([0.1, 0.18, 0.3])[y][:, None]
    return (torch.sin(f * torch.arange(t) + 6.28 * torch.rand(n, 1)) + 0.5 * torch.randn(n, t))[
        ..., None
    ], y


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=4e-3)
