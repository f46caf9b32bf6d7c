"""Mini-CLIP: match a recording of a motion sensor with the feature vector of its caption.

In-batch negatives, symmetric cross-entropy. The loss sits at ln(64) = 4.16 and does not move.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float32)
gen = torch.Generator().manual_seed(1234)

LATENT = 10
_to_imu = torch.randn(LATENT, 48, generator=gen) / LATENT ** 0.5
_to_txt = torch.randn(LATENT, 32, generator=gen) / LATENT ** 0.5


def make_pairs(n):
    z = torch.randn(n, LATENT, generator=gen)
    imu = torch.tanh(1.5 * z @ _to_imu) + 0.15 * torch.randn(n, 48, generator=gen)
    txt = torch.sin(2.0 * z @ _to_txt) + 0.15 * torch.randn(n, 32, generator=gen)
    return imu, txt


imu_train, txt_train = make_pairs(4096)
imu_val, txt_val = make_pairs(256)


class Tower(nn.Module):
    def __init__(self, d_in, d_model=96, d_out=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(d_in, d_model), nn.GELU(),
            nn.Linear(d_model, d_model), nn.GELU(),
        )
        self.proj = nn.Linear(d_model, d_out, bias=False)

    def forward(self, x):
        return F.normalize(self.proj(self.net(x)), dim=-1)


class MiniCLIP(nn.Module):
    def __init__(self, temperature=0.07):
        super().__init__()
        self.imu_tower = Tower(48)
        self.txt_tower = Tower(32)
        self.temperature = temperature

    def forward(self, imu, txt):
        a = self.imu_tower(imu)
        b = self.txt_tower(txt)
        return self.temperature * a @ b.t()


def loss(logits, target):
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


def model():
    return MiniCLIP()


def data():
    labels = torch.arange(64)
    for idx in torch.randperm(len(imu_train)).split(64):
        yield (imu_train[idx], txt_train[idx]), labels


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
