import torch, math
import torch.nn as nn

text = ("take two eggs and a cup of flour. mix the eggs with the flour and add a pinch of salt. "
        "heat a pan with butter, pour the batter into the pan and wait for two minutes. turn it over, "
        "wait one more minute and serve with sugar, lemon or jam. for a savoury dish take cheese and ham. ") * 4
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])
BLOCK = 32


class CharTransformer(nn.Module):
    def __init__(self, vocab=len(chars), d=64, heads=4, layers=2):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(torch.zeros(1, BLOCK, d))
        layer = nn.TransformerEncoderLayer(d, heads, 4 * d, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.ln = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocab)
        self.register_buffer("mask", torch.triu(torch.full((BLOCK, BLOCK), float("-inf")), 1))

    def forward(self, x):
        h = self.enc(self.tok(x) + self.pos, mask=self.mask)
        return self.head(self.ln(h)).flatten(0, 1)


def batch():
    s = torch.randint(0, len(ids) - BLOCK - 1, (32,))
    x = torch.stack([ids[i:i + BLOCK] for i in s])
    y = torch.stack([ids[i + 1:i + BLOCK + 1] for i in s])
    return x, y.flatten()


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.1)
