import torch
from sklearn.datasets import load_digits
from torch import nn

bunch = load_digits()
IMAGES = torch.tensor(bunch.images, dtype=torch.float32).div(8).sub(1)
LABELS = torch.tensor(bunch.target)


class SmallViT(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 2, stride=2)
        self.pos = nn.Parameter(0.02 * torch.randn(1, 16, d))
        layer = nn.TransformerEncoderLayer(d, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        tokens = self.patch(x.unsqueeze(1)).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.encoder(tokens).mean(1))


def batch(n=64):
    i = torch.randint(len(IMAGES), (n,))
    return IMAGES[i], LABELS[i]


def optimizer(model):
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(step / 500, 1.0))
    return opt
