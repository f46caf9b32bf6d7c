import torch
import torch.nn as nn
import torch.nn.functional as F

V, T = 200, 24
gen = torch.Generator().manual_seed(1)
NEXT = torch.randint(0, V, (V, 3), generator=gen)


class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.h = h
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.ln2(x))


class TiedLM(nn.Module):
    def __init__(self, d=128, n_layer=2):
        super().__init__()
        self.wte = nn.Embedding(V, d)
        self.wpe = nn.Embedding(T, d)
        self.blocks = nn.Sequential(*[Block(d, 4) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(d)
        self.lm_head = nn.Linear(d, V, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        return self.lm_head(self.ln_f(self.blocks(x)))


def batch(b=16):
    seq = [torch.randint(0, V, (b,))]
    for _ in range(T):
        seq.append(NEXT[seq[-1], torch.randint(0, 3, (b,))])
    seq = torch.stack(seq, 1)
    return seq[:, :-1], seq[:, 1:]


def loss(logits, y):
    return F.cross_entropy(logits.reshape(-1, V), y.reshape(-1))


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
