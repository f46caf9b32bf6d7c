"""LoRA on a trained MLP: B starts at zero, the base weights are frozen, digits are rotated."""

import torch
from sklearn.datasets import load_digits
from torch import nn

IMAGES = torch.tensor(load_digits().images, dtype=torch.float32) / 8 - 1
LABELS = torch.tensor(load_digits().target)


class LoRALinear(nn.Module):
    def __init__(self, base, r=4, alpha=16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(r, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + (x @ self.lora_A.T @ self.lora_B.T) * self.scaling


def base_model():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(150):
        i = torch.randint(0, 1797, (128,))
        opt.zero_grad()
        nn.functional.cross_entropy(net(IMAGES[i].flatten(1)), LABELS[i]).backward()
        opt.step()
    return net


def model():
    net = base_model()
    for k in (0, 2, 4):
        net[k] = LoRALinear(net[k])
    return net


def batch():
    i = torch.randint(0, 1797, (96,))
    return IMAGES[i].rot90(1, (1, 2)).flatten(1), LABELS[i]


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
