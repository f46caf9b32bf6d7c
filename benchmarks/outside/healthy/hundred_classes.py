import torch
from torch import nn

torch.manual_seed(0)
centres = torch.randn(100, 32)


class ArcHead(nn.Module):
    """Cosine logits with a learned temperature."""

    def __init__(self, d, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, d))
        self.log_scale = nn.Parameter(torch.tensor(2.7))

    def forward(self, h):
        h = nn.functional.normalize(h, dim=-1)
        w = nn.functional.normalize(self.weight, dim=-1)
        return self.log_scale.exp() * h @ w.T


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64)
        )
        self.head = ArcHead(64, 100)

    def forward(self, x):
        return self.head(self.trunk(x))


def batch():
    y = torch.randint(0, 100, (256,))
    return centres[y] + 0.4 * torch.randn(256, 32), y


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
