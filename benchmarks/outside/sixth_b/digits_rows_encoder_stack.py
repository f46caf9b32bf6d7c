# "Attention is all you need" encoder on digits, every row of the image is a token
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

DIM, HEADS, LAYERS = 32, 4, 14
_d = load_digits()
X = torch.tensor(_d.images / 16.0, dtype=torch.float32)
Y = torch.tensor(_d.target)


class RowEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, DIM)
        self.pos = nn.Parameter(torch.randn(1, 8, DIM) * 0.1)
        layer = nn.TransformerEncoderLayer(DIM, HEADS, 4 * DIM, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS)
        self.out = nn.Linear(DIM, 10)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, x):
        h = self.encoder(self.embed(x) + self.pos)
        return self.out(h.mean(1))


def batch():
    i = torch.randint(0, len(X), (16,))
    return X[i], Y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-9)
