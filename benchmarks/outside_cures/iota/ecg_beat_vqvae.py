"""VQ-VAE (van den Oord 2017) for ECG beats: 64 samples -> 8 codes out of 32."""
import torch
import torch.nn as nn
import torch.nn.functional as F

L, CODES, DIM = 64, 32, 12


def beats(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, L)
    u = lambda lo, hi: lo + (hi - lo) * torch.rand(n, 1, generator=g)
    bump = lambda c, w, a: a * torch.exp(-((t - c) ** 2) / (2 * w**2))
    shift = u(-0.08, 0.08)
    x = bump(0.25 + shift, 0.04, u(0.1, 0.3))
    x = x + bump(0.45 + shift, 0.02, u(0.8, 1.6)) - bump(0.5 + shift, 0.02, u(0.2, 0.5))
    x = x + bump(0.75 + shift, 0.06, u(-0.2, 0.5))
    x = x + 0.02 * torch.randn(n, L, generator=g)
    return ((x - 0.1) / 0.3)[:, None]


class Quantizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.book = nn.Embedding(CODES, DIM)
        nn.init.uniform_(self.book.weight, -1 / CODES, 1 / CODES)

    def forward(self, z):  # B, L, D
        with torch.no_grad():
            d = torch.cdist(z.reshape(-1, DIM), self.book.weight)
            code = d.argmin(1).view(z.shape[:2])
        q = self.book(code)
        book_loss = F.mse_loss(q, z.detach())
        commit = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), book_loss + 0.25 * commit


class BeatVQ(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv1d(1, c, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(c, c, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(c, c, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(c, DIM, 3, 1, 1),
        )  # fmt: skip
        self.vq = Quantizer()
        self.dec = nn.Sequential(
            nn.Conv1d(DIM, c, 3, 1, 1), nn.ReLU(),
            nn.ConvTranspose1d(c, c, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose1d(c, c, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose1d(c, 1, 4, 2, 1),
        )  # fmt: skip

    def forward(self, x):
        z = self.enc(x).transpose(1, 2)
        q, vq_loss = self.vq(z)
        return self.dec(q.transpose(1, 2)), vq_loss


X = beats(2000, 31)


def model():
    return BeatVQ()


def data():
    for i in torch.randperm(len(X)).split(64):
        yield X[i], X[i]


def loss(out, x):
    rec, vq_loss = out
    return F.mse_loss(rec, x) + vq_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
