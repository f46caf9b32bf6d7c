import torch, torch.nn as nn, torch.nn.functional as F
# minGPT-like; embeddings tied as in the tf1 original

class Block(nn.Module):
    def __init__(s, d, h):
        super().__init__()
        s.n1, s.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        s.qkv, s.proj = nn.Linear(d, 3*d), nn.Linear(d, d)
        s.fc = nn.Sequential(nn.Linear(d, 4*d), nn.GELU(), nn.Linear(4*d, d))
        s.h = h
    def forward(s, x):
        B, T, D = x.shape
        q, k, v = s.qkv(s.n1(x)).view(B, T, 3, s.h, D//s.h).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + s.proj(a.transpose(1, 2).reshape(B, T, D))
        return x + s.fc(s.n2(x))

class GPT(nn.Module):
    def __init__(s, vocab=64, d=192, layers=1, heads=4, ctx=16):
        super().__init__()
        s.wte, s.wpe = nn.Embedding(vocab, d), nn.Embedding(ctx, d)
        s.blocks = nn.Sequential(*[Block(d, heads) for _ in range(layers)])
        s.ln_f = nn.LayerNorm(d)
        s.lm_head = nn.Linear(d, vocab, bias=False)
        s.lm_head.weight = s.wte.weight
    def forward(s, idx):
        x = s.wte(idx) + s.wpe(torch.arange(idx.size(1)))
        return s.lm_head(s.ln_f(s.blocks(x))).transpose(1, 2)

g = torch.Generator().manual_seed(0)
table = torch.randint(0, 64, (64, 3), generator=g)

def batch(B=8, T=16):
    s = torch.randint(0, 64, (B, 1))
    for _ in range(T):
        s = torch.cat([s, table[s[:, -1], torch.randint(0, 3, (B,))][:, None]], 1)
    return s[:, :-1], s[:, 1:]

loss = nn.CrossEntropyLoss()
def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.1)
