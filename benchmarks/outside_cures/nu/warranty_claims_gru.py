"""Sort warranty claims into departments. Tokenised free text -> GRU -> softmax."""
import random

import torch
from torch import nn

MAX_LEN = 80  # covers the longest claim of 2019-2023
DEPARTMENTS = ["electrics", "hydraulics", "bodywork", "software", "brakes"]
PARTS = {
    "electrics": "fuse cable battery alternator relay lamp wiring".split(),
    "hydraulics": "pump hose oil valve cylinder seal pressure".split(),
    "bodywork": "paint rust door panel hinge bumper scratch".split(),
    "software": "display update menu reboot error frozen screen".split(),
    "brakes": "disc pad squeal pedal caliper lining abs".split(),
}
FILL = (
    "the a customer reports since yesterday after service when driving again slightly broken not working"
    " please check left right rear front replaced under load noise found and vehicle in workshop was is"
).split()
VOCAB = ["<pad>"] + sorted({w for ws in PARTS.values() for w in ws} | set(FILL))
INDEX = {w: i for i, w in enumerate(VOCAB)}


def write_claim(rng):
    dep = rng.randrange(len(DEPARTMENTS))
    words = [rng.choice(FILL) for _ in range(rng.randint(6, 14))]
    for _ in range(2):
        words[rng.randrange(len(words))] = rng.choice(PARTS[DEPARTMENTS[dep]])
    if rng.random() < 0.4:  # somebody else's part is mentioned too
        other = rng.choice(DEPARTMENTS)
        words.insert(rng.randrange(len(words)), rng.choice(PARTS[other]))
    return " ".join(words), dep


def encode(text):
    ids = [INDEX[w] for w in text.split()][:MAX_LEN]
    return ids + [0] * (MAX_LEN - len(ids))


def corpus(n, seed):
    rng = random.Random(seed)
    claims = [write_claim(rng) for _ in range(n)]
    return torch.tensor([encode(t) for t, _ in claims]), torch.tensor([d for _, d in claims])


class ClaimClassifier(nn.Module):
    def __init__(self, emb=24, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), emb, padding_idx=0)
        self.rnn = nn.GRU(emb, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(DEPARTMENTS))

    def forward(self, tokens):
        _, h = self.rnn(self.embed(tokens))
        return self.out(h[-1])


tokens, labels = corpus(2000, seed=1)


def model():
    return ClaimClassifier()


def data():
    for idx in torch.randperm(len(labels)).split(32):
        yield tokens[idx], labels[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
