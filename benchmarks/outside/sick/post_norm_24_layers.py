import torch
from torch import nn


class Encoder24(nn.Module):
    def __init__(self, vocab=8, d_model=32, n_layers=24, T=8):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model)
        self.pos = nn.Embedding(T, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, 4, 64, dropout=0.0, batch_first=True, norm_first=False
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.fc = nn.Linear(d_model, vocab)

    def forward(self, ids):
        h = self.embed(ids) + self.pos(torch.arange(ids.shape[1]))
        return self.fc(self.encoder(h))


def batch(n=16, T=8):
    ids = torch.randint(0, 8, (n, T))
    return ids, ids.flip(1)


def loss(out, y):
    return nn.functional.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
