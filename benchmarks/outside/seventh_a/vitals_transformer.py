"""Sepsis flag from irregular ICU vitals, set transformer style, padded to the longest stay."""
import torch
from torch import nn

MAXLEN, FEATS = 30, 6


def stays(n=48):
    lengths = torch.randint(6, MAXLEN + 1, (n,))
    y = torch.randint(0, 2, (n,)).float()
    x = torch.randn(n, MAXLEN, FEATS)
    t = torch.arange(MAXLEN)[None] / lengths[:, None]
    x[:, :, 0] += y[:, None] * 1.5 * t
    x[:, :, 1] -= y[:, None] * 1.2 * t
    pad = torch.arange(MAXLEN)[None] >= lengths[:, None]
    x[pad] = 0.0
    return {"x": x, "pad": pad, "labels": y}


class VitalsTransformer(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.proj = nn.Linear(FEATS, d)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.pos = nn.Parameter(0.02 * torch.randn(1, MAXLEN + 1, d))
        layer = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, 1)

    def forward(self, x, pad, labels=None):
        h = torch.cat([self.cls.expand(len(x), -1, -1), self.proj(x)], 1) + self.pos
        mask = torch.cat([torch.zeros(len(x), 1, dtype=torch.bool), pad], 1)
        h = self.norm(self.enc(h, src_key_padding_mask=mask))[:, 0]
        logit = self.head(h).squeeze(-1)
        if labels is not None:
            return nn.functional.binary_cross_entropy_with_logits(logit, labels)
        return logit


def batch():
    return stays()


def optimizer(model):
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1e-3)
