import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

_raw = load_digits()
_img = torch.tensor(_raw.images, dtype=torch.float32) / 8 - 0.6
_lab = torch.tensor(_raw.target)


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r: int = 8, alpha: int = 16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.zeros(r, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + self.scaling * F.linear(F.linear(x, self.lora_A), self.lora_B)


def pretrained():
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(150):
        i = torch.randint(0, len(_img), (128,))
        opt.zero_grad()
        F.cross_entropy(net(_img[i].flatten(1)), _lab[i]).backward()
        opt.step()
    return net


def lora_model():
    net = pretrained()
    for k, m in enumerate(net):
        if isinstance(m, nn.Linear):
            net[k] = LoRALinear(m)
    return net


def batch():
    i = torch.randint(0, len(_img), (64,))
    return _img[i].rot90(1, (1, 2)).flatten(1), _lab[i]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
