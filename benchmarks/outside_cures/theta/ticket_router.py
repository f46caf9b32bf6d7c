"""Routes support tickets to one of six teams. Trained nightly on the tickets closed that week.

The team follows from *what* was done to *which* product, so both words matter together.
"""
import math
import random

import torch
from torch import nn

TEAMS = ["billing", "shipping", "hardware", "accounts", "returns", "sales"]
PRODUCTS = ["router", "modem", "phone", "tablet", "printer", "camera"]
ISSUES = ["charged", "broken", "late", "locked", "refund", "upgrade"]
FILLER = (
    "hello i have bought my your the a since last week yesterday please help it is not working again with and"
    " would like to know when this can be thanks regards still waiting order number account"
).split()

VOCAB = {w: i for i, w in enumerate(["<pad>", *PRODUCTS, *ISSUES, *FILLER])}
MAX_LEN = 20

# who owns what: a table kept by the service desk
_owner = random.Random(42)
OWNER = {(p, i): _owner.randrange(len(TEAMS)) for p in PRODUCTS for i in ISSUES}


def write_ticket(rng):
    words = [rng.choice(FILLER) for _ in range(rng.randint(8, MAX_LEN - 2))]
    product, issue = rng.choice(PRODUCTS), rng.choice(ISSUES)
    words.insert(rng.randrange(len(words)), product)
    words.insert(rng.randrange(len(words)), issue)
    ids = [VOCAB[w] for w in words]
    return ids + [0] * (MAX_LEN - len(ids)), OWNER[product, issue]


def corpus(n, seed):
    rng = random.Random(seed)
    rows = [write_ticket(rng) for _ in range(n)]
    return torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=MAX_LEN):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10_000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)]


class TicketRouter(nn.Module):
    def __init__(self, d_model=48, nhead=4, layers=3):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), d_model, padding_idx=0)
        self.pos = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, 96, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.classify = nn.Linear(d_model, len(TEAMS))

    def forward(self, ids):
        pad = ids == 0
        h = self.encoder(self.pos(self.embed(ids)), src_key_padding_mask=pad)
        h = h.masked_fill(pad.unsqueeze(-1), 0).sum(1) / (~pad).sum(1, keepdim=True)
        return self.classify(h)


tickets, teams = corpus(4000, seed=1)


def model():
    return TicketRouter()


def data():
    for batch in torch.randperm(len(tickets)).split(32):
        if len(batch) == 32:
            yield tickets[batch], teams[batch]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
