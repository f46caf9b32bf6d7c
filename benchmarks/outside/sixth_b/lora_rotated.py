# adapting a small pretrained MLP to rotated digits with low rank adapters
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

_d = load_digits()
IMG = torch.tensor(_d.images / 16, dtype=torch.float32)
LAB = torch.tensor(_d.target)
ROT = torch.rot90(IMG, 1, (1, 2))


def _pretrain():
    net = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 10))
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(150):
        i = torch.randint(0, len(IMG), (128,))
        opt.zero_grad()
        F.cross_entropy(net(IMG[i].flatten(1)), LAB[i]).backward()
        opt.step()
    return net


class LoRALinear(nn.Module):
    def __init__(self, base, r=8, alpha=16):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad = False
        self.lora_A = nn.Parameter(torch.zeros(r, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + (x @ self.lora_A.T @ self.lora_B.T) * self.scaling


def build():
    base = _pretrain()
    return nn.Sequential(nn.Flatten(), *[LoRALinear(m) if isinstance(m, nn.Linear) else m for m in base])


def batch():
    i = torch.randint(0, len(ROT), (64,))
    return ROT[i], LAB[i]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
