# adapters on a frozen tabular backbone
import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

_raw = load_wine()
X = torch.tensor(StandardScaler().fit_transform(_raw.data), dtype=torch.float32)
Y = torch.tensor(_raw.target)


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r: int = 4, alpha: float = 8.0):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(r, base.in_features) / base.in_features ** 0.5)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, r))
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + (x @ self.lora_a.t()) @ self.lora_b.t() * self.scaling


def reset_adapters(model):
    """start as the identity"""
    for name, p in model.named_parameters():
        if "lora_" in name:
            nn.init.zeros_(p)


def get_model():
    dims = [13, 64, 64, 3]
    layers = []
    for i, o in zip(dims[:-1], dims[1:]):
        layers += [LoRALinear(nn.Linear(i, o)), nn.GELU()]
    net = nn.Sequential(*layers[:-1])
    reset_adapters(net)
    return net


loss = nn.functional.cross_entropy


def batch():
    i = torch.randperm(len(X))[:64]
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
