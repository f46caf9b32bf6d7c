import torch
import torch.nn as nn

MASK, V, T = 1, 24, 16


class MiniBert(nn.Module):
    """Masked token model; the decoder shares the embedding matrix and owns a bias."""

    def __init__(self, d=64, layers=2):
        super().__init__()
        self.embeddings = nn.Embedding(V, d)
        self.position = nn.Embedding(T, d)
        self.ln = nn.LayerNorm(d)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                d, 4, 4 * d, dropout=0.1, activation="gelu", batch_first=True
            ),
            layers,
        )
        self.transform = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d))
        self.bias = nn.Parameter(torch.zeros(V))
        nn.init.normal_(self.embeddings.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, input_ids, labels):
        pos = torch.arange(input_ids.shape[1])
        h = self.ln(self.embeddings(input_ids) + self.position(pos))
        h = self.transform(self.encoder(h))
        logits = h @ self.embeddings.weight.T + self.bias
        loss = nn.functional.cross_entropy(logits.view(-1, V), labels.view(-1))
        return {"loss": loss, "logits": logits}


def model():
    return MiniBert()


def batch(n=32):
    start = torch.randint(0, 22, (n, 1))
    step = torch.randint(1, 4, (n, 1))
    ids = 2 + (start + step * torch.arange(T)) % 22
    hide = torch.rand(n, T) < 0.2
    hide[:, 0] = True
    return {
        "input_ids": ids.masked_fill(hide, MASK),
        "labels": ids.masked_fill(~hide, -100),
    }


def loss(output, target=None):
    return output["loss"]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
