import torch
import torch.nn as nn

# trainer settings
AUTOCAST = "float16"


class ConvAE(nn.Module):
    def __init__(self, c=3, w=8):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(c, w, 4, 2, 1), nn.SiLU(), nn.Conv2d(w, 2 * w, 4, 2, 1), nn.SiLU(), nn.Conv2d(2 * w, 2 * w, 4, 2, 1)
        )
        self.dec = nn.Sequential(
            nn.ConvTranspose2d(2 * w, 2 * w, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(w, c, 4, 2, 1),
        )

    def forward(self, x):
        return self.dec(self.enc(x))


def batch(n=6, s=32):
    z = torch.randn(n, 3, 4, 4)
    x = nn.functional.interpolate(z, size=(s, s), mode="bilinear")
    return x, x


class ReconLoss(nn.Module):
    """loss weights of the multi-task run: w_rec * reconstruction"""

    def __init__(self, w_rec=1e-4):
        super().__init__()
        self.w_rec = w_rec

    def forward(self, rec, x):
        return self.w_rec * (rec.float() - x).pow(2).mean()


loss = ReconLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
