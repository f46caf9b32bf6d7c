import torch
from sklearn.datasets import make_moons
from torch import nn


class Deep(nn.Module):
    def __init__(self, w=16):
        super().__init__()
        self.stem = nn.Linear(2, w)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(w), nn.Linear(w, w), nn.GELU()) for _ in range(7)
        )
        self.head = nn.Linear(w, 2)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def layer_groups(model, base_lr=1e-3, decay=0.1):
    stages = [model.stem, *model.blocks, model.head]
    top = len(stages) - 1
    return [
        {"params": list(s.parameters()), "lr": base_lr * decay ** (top - i)}
        for i, s in enumerate(stages)
    ]


def batch():
    x, y = make_moons(300, noise=0.1, random_state=2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(layer_groups(model))
