import torch
import torch.nn as nn

torch.manual_seed(11)
freq = torch.randint(1, 7, (1500,))
t = torch.linspace(0, 6.283, 64)
phase = torch.rand(1500, 1) * 6.283
WAVES = torch.sin(freq[:, None] * t + phase) + 0.2 * torch.randn(1500, 64)
LABEL = freq - 1


class TwoStage(nn.Module):
    """backbone + small head, see the transfer learning tutorial"""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv1d(1, 16, 7, stride=2, padding=3), nn.ReLU(),
            nn.Conv1d(16, 16, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv1d(16, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        )
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        return self.head(self.backbone(x.unsqueeze(1)))


def loss(logits, target):
    return nn.functional.cross_entropy(logits, target)


def batch():
    i = torch.randint(0, 1500, (64,))
    return WAVES[i], LABEL[i]


def optimizer(model):
    return torch.optim.Adam([
        {"params": model.backbone.parameters(), "lr": 1e-7},
        {"params": model.head.parameters(), "lr": 1e-3},
    ])
