"""ConvNeXt blocks: depthwise 7x7, LayerNorm, GELU, layer scale 1e-6."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, layer_scale_init_value=1e-6):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(dim))

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        y = (self.gamma * y).permute(0, 3, 1, 2)
        return x + y


class ConvNeXt(nn.Module):
    def __init__(self, depth=4, dim=32, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, dim, 2, 2)
        self.stem_norm = nn.GroupNorm(1, dim)
        self.blocks = nn.Sequential(*[Block(dim) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.blocks(self.stem_norm(self.stem(x)))
        return self.head(self.norm(x.mean((-2, -1))))


def data():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x).float().view(-1, 1, 8, 8) / 16
    x = (x - x.mean()) / x.std()
    ds = torch.utils.data.TensorDataset(x, torch.tensor(y))
    return torch.utils.data.DataLoader(ds, 128, shuffle=True)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
