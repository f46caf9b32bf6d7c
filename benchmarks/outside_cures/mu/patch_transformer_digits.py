# ViT-style classifier, 2x2 patches of the 8x8 digits. Encoder as in "Attention is all you need".
import torch
from torch import nn
from sklearn.datasets import load_digits

_d = load_digits()
_x = torch.tensor(_d.images, dtype=torch.float32).div(16).sub(0.5)
_y = torch.tensor(_d.target)
_perm = torch.randperm(len(_x), generator=torch.Generator().manual_seed(2))
x_train, y_train = _x[_perm[:1400]], _y[_perm[:1400]]
x_test, y_test = _x[_perm[1400:]], _y[_perm[1400:]]

PATCH = 2
CONFIG = dict(dim=48, heads=4, depth=10, ffn=96, dropout=0.0)
LEARNING_RATE = 2e-3


class PatchTransformer(nn.Module):
    def __init__(self, dim, heads, depth, ffn, dropout):
        super().__init__()
        n_tokens = (8 // PATCH) ** 2
        self.patches = nn.Unfold(PATCH, stride=PATCH)
        self.project = nn.Linear(PATCH * PATCH, dim)
        self.position = nn.Parameter(torch.randn(1, n_tokens, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(
            dim, heads, ffn, dropout, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(dim, 10)
        for p in self.encoder.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, img):
        tokens = self.project(self.patches(img.unsqueeze(1)).transpose(1, 2)) + self.position
        return self.head(self.encoder(tokens).mean(1))


def model():
    return PatchTransformer(**CONFIG)


def data():
    for chunk in torch.randperm(len(x_train)).split(32):
        yield x_train[chunk], y_train[chunk]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-9)
