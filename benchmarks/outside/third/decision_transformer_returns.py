import torch
from torch import nn


class DecisionTransformer(nn.Module):
    def __init__(self, d=48, T=8, layers=2):
        super().__init__()
        self.r, self.s, self.a = nn.Linear(1, d), nn.Linear(3, d), nn.Embedding(4, d)
        self.time = nn.Embedding(T, d)
        self.ln = nn.LayerNorm(d)
        layer = nn.TransformerEncoderLayer(d, 4, 4 * d, 0.1, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(d, 4)
        for p in self.modules():
            if isinstance(p, (nn.Linear, nn.Embedding)):
                nn.init.normal_(p.weight, std=0.02)

    def forward(self, rtg, states, actions):
        n, T, _ = states.shape
        t = self.time(torch.arange(T))
        tokens = torch.stack([self.r(rtg) + t, self.s(states) + t, self.a(actions) + t], 2).flatten(1, 2)
        mask = nn.Transformer.generate_square_subsequent_mask(3 * T)
        h = self.blocks(self.ln(tokens), mask=mask, is_causal=True)
        return self.head(h[:, 1::3])


def loss(logits, actions):
    return nn.functional.cross_entropy(logits.flatten(0, 1), actions.flatten())


def batch(n=32, T=8):
    s = torch.randn(n, T, 3)
    good = torch.rand(n, 1) < 0.5
    best = s.argmax(2)
    actions = torch.where(good, best, torch.full_like(best, 3))
    rtg = good.float() * torch.arange(T, 0, -1)[None] / T
    return (rtg[..., None], s, actions), actions


CLIP_GRAD_NORM = 0.25


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=1e-4)
