import torch
from torch import nn

torch_gen = torch.Generator().manual_seed(7)
PROTO = torch.randn(20, 40, generator=torch_gen)


def batch():
    """1024 noisy prototypes, 20 classes."""
    y = torch.randint(20, (1024,))
    return PROTO[y] + 1.5 * torch.randn(1024, 40), y


class BigBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(40, 200), nn.LayerNorm(200), nn.SiLU())
        self.enc2 = nn.Sequential(nn.Linear(200, 200), nn.LayerNorm(200), nn.SiLU())
        self.cls = nn.Linear(200, 20)

    def forward(self, x):
        return self.cls(self.enc2(self.enc(x)))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.9, nesterov=True)
