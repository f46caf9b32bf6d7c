# A flat-land NeRF: render 1-D views of coloured discs by alpha compositing along rays.
import torch
import torch.nn as nn


def encode(p, L=5):
    out = [p]
    for k in range(L):
        out += [torch.sin(2**k * p), torch.cos(2**k * p)]
    return torch.cat(out, -1)


class TinyNeRF(nn.Module):
    def __init__(self, L=5, W=64):
        super().__init__()
        self.L = L
        self.l1 = nn.Linear(2 + 4 * L, W)
        self.l2 = nn.Linear(W, W)
        self.l3 = nn.Linear(W + 2 + 4 * L, W)
        self.rgb_sigma = nn.Linear(W, 4)

    def field(self, p):
        e = encode(p, self.L)
        h = torch.relu(self.l2(torch.relu(self.l1(e))))
        h = torch.relu(self.l3(torch.cat([h, e], -1)))
        out = self.rgb_sigma(h)
        return torch.sigmoid(out[..., :3]), nn.functional.softplus(out[..., 3] - 1)

    def forward(self, rays):
        o, d = rays[:, None, :2], rays[:, None, 2:]
        t = torch.linspace(0, 4, 32)[None, :, None]
        rgb, sigma = self.field(o + t * d)
        return composite(rgb, sigma)


def composite(rgb, sigma, delta=4 / 32):
    alpha = 1 - torch.exp(-sigma * delta)
    trans = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)
    return ((trans[:, :-1] * alpha)[..., None] * rgb).sum(1)


def scene(p):
    centres = torch.tensor([[0.0, 0.5], [0.6, -0.3], [-0.7, -0.2]])
    inside = ((p[..., None, :] - centres).norm(dim=-1) < 0.4).float()
    return torch.eye(3)[inside.argmax(-1)], 20.0 * inside.amax(-1)


def batch(n=128):
    ang = torch.rand(n) * 6.2832
    o = 2 * torch.stack([ang.cos(), ang.sin()], -1)
    aim = torch.randn(n, 2) * 0.4
    d = nn.functional.normalize(aim - o, dim=-1)
    t = torch.linspace(0, 4, 32)[None, :, None]
    return torch.cat([o, d], -1), composite(*scene(o[:, None] + t * d[:, None]))


loss = nn.MSELoss()


def model():
    return TinyNeRF()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
