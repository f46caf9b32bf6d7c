import torch
from torch import nn
from sklearn.datasets import load_digits

_d = load_digits()
PIX = (torch.tensor(_d.images, dtype=torch.float32).unsqueeze(1) - 4.88) / 6.02
LAB = torch.tensor(_d.target)


class ViT(nn.Module):
    def __init__(self, patch=2, dim=32, depth=3, heads=4, classes=10):
        super().__init__()
        self.patch = nn.Conv2d(1, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(0.02 * torch.randn(1, (8 // patch) ** 2 + 1, dim))
        block = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.05, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        z = self.patch(x).flatten(2).transpose(1, 2)
        z = torch.cat([self.cls.expand(len(z), -1, -1), z], 1) + self.pos
        return self.head(self.blocks(z)[:, 0])


def batch():
    i = torch.randint(0, len(LAB), (48,))
    return PIX[i], LAB[i]


criterion = nn.CrossEntropyLoss(label_smoothing=0.1)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
