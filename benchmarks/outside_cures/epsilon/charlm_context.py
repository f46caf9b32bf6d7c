"""Bengio-style character model: eight characters of context -> the next one."""
import random

import torch
import torch.nn as nn

# a tiny grammar is enough to play with
_rng = random.Random(3)
_subject = ["the old cat", "a student", "my supervisor", "the robot", "our neighbour", "a small dog"]
_verb = ["reads", "writes", "forgets", "paints", "repairs", "dreams of"]
_object = ["the long paper", "a quick proof", "seven letters", "the blue door", "a jazz record", "the exam"]
_when = ["today", "at night", "on friday", "again", "very slowly"]


def _sentence():
    return f"{_rng.choice(_subject)} {_rng.choice(_verb)} {_rng.choice(_object)} {_rng.choice(_when)}. "


text = "".join(_sentence() for _ in range(400))
held_out = "".join(_sentence() for _ in range(60))
vocab = sorted(set(text + held_out))
stoi = {c: i for i, c in enumerate(vocab)}

CONTEXT = 8


def windows(s):
    ids = torch.tensor([stoi[c] for c in s])
    w = ids.unfold(0, CONTEXT + 1, 1)
    return w[:, :CONTEXT].contiguous(), w[:, CONTEXT].contiguous()


X, Y = windows(text)


class CharLM(nn.Module):
    def __init__(self, emb=16, hidden=128):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), emb)
        self.mlp = nn.Sequential(
            nn.Flatten(),
            nn.Linear(CONTEXT * emb, hidden),
            nn.Tanh(),
            nn.Linear(hidden, len(vocab)),
            nn.Softmax(dim=-1),  # probabilities of the next character
        )

    def forward(self, ctx):
        return self.mlp(self.emb(ctx))


def model():
    return CharLM()


def data():
    order = torch.randperm(len(X))
    for i in order.split(64)[:-1]:
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
