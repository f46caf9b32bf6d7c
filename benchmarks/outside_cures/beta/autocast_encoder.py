# Post-norm encoder trained under bfloat16 autocast; count the vowels in a word.
import torch
from torch import nn

LETTERS, LEN = 26, 9
VOWELS = torch.tensor([0, 4, 8, 14, 20])


def words(n, seed):
    g = torch.Generator().manual_seed(seed)
    w = torch.randint(LETTERS, (n, LEN), generator=g)
    v = VOWELS[torch.randint(5, (n, LEN), generator=g)]
    w = torch.where(torch.rand(n, LEN, generator=g) < 0.25, v, w)
    return w, torch.isin(w, VOWELS).sum(1).clamp(max=6)


class Encoder(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.emb = nn.Embedding(LETTERS, d)
        nn.init.normal_(self.emb.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.0, batch_first=True, activation="gelu")
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(d, 7)

    def forward(self, w):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = self.enc(self.emb(w))
            return self.head(h.mean(1)).float()


def model():
    return Encoder()


W, C = words(2500, 0)


def data(seed=0):
    for i in torch.randperm(2500, generator=torch.Generator().manual_seed(seed)).split(50):
        yield W[i], C[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)


def metric(model):
    w, c = words(400, 1)
    model.eval()
    with torch.no_grad():
        return (model(w).argmax(1) == c).float().mean().item()


HIGHER_IS_BETTER = True
