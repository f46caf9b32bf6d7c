import torch
import torch.nn as nn
import torch.nn.functional as F


class RadianceField(nn.Module):
    def __init__(self, hidden=64, freqs=4):
        super().__init__()
        self.freqs = freqs
        self.trunk = nn.Sequential(
            nn.Linear(3 * 2 * freqs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.sigma = nn.Linear(hidden, 1)
        self.color = nn.Linear(hidden, 3)
        nn.init.constant_(self.sigma.bias, -5.0)

    def encode(self, p):
        ang = p[..., None] * (2.0 ** torch.arange(self.freqs)) * torch.pi
        return torch.cat([ang.sin(), ang.cos()], dim=-1).flatten(-2)

    def forward(self, origins, directions):
        t = torch.linspace(0.0, 2.0, 16)
        pts = origins[:, None] + directions[:, None] * t[None, :, None]
        h = self.trunk(self.encode(pts))
        density = F.relu(self.sigma(h)).squeeze(-1)
        rgb = torch.sigmoid(self.color(h))
        alpha = 1 - torch.exp(-density * (2.0 / 16))
        trans = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[
            :, :-1
        ]
        return ((alpha * trans)[..., None] * rgb).sum(dim=1)


def batch(n=128):
    d = F.normalize(torch.randn(n, 3), dim=-1)
    o = -d + 0.3 * torch.randn(n, 3)
    hit = torch.linalg.norm(torch.linalg.cross(o, d), dim=-1) < 0.4
    return (o, d), hit.float()[:, None] * torch.tensor([0.9, 0.4, 0.2])


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
