"""Sentiment of hotel reviews. LSTM baseline; settings come from the experiment tracker."""
import random

import torch
from torch import nn

CONFIG = {
    "embedding": 24,
    "hidden": 48,
    "batch": 64,
    "lr": 2e-3,
    "weight_decay": 0.1,
    "max_len": 16,
}

GOOD = "clean lovely friendly quiet spacious superb warm helpful".split()
BAD = "dirty awful rude noisy cramped broken cold useless".split()
NEUTRAL = "the room was bed staff breakfast view we stayed in and a our at hotel night on pool".split()
NEGATION = "not"
ITOS = ["<pad>", NEGATION, *GOOD, *BAD, *NEUTRAL]
STOI = {w: i for i, w in enumerate(ITOS)}


def review(rng):
    """Majority of three judgements, some of them negated."""
    label = 0
    words = []
    for _ in range(3):
        good = rng.random() < 0.5
        negated = rng.random() < 0.3
        words += rng.choices(NEUTRAL, k=rng.randint(1, 3))
        if negated:
            words.append(NEGATION)
        words.append(rng.choice(GOOD if good else BAD))
        label += 1 if good != negated else -1
    words = words[: CONFIG["max_len"]]
    ids = [0] * (CONFIG["max_len"] - len(words)) + [STOI[w] for w in words]  # left padded
    return ids, int(label > 0)


def load(n, seed):
    rng = random.Random(seed)
    rows = [review(rng) for _ in range(n)]
    ids, labels = zip(*rows)
    return torch.tensor(ids), torch.tensor(labels)


class SentimentLSTM(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embedding = nn.Embedding(len(ITOS), cfg["embedding"], padding_idx=0)
        self.lstm = nn.LSTM(cfg["embedding"], cfg["hidden"], batch_first=True)
        self.classifier = nn.Linear(cfg["hidden"], 2)

    def forward(self, ids):
        _, (h, _) = self.lstm(self.embedding(ids))
        return self.classifier(h[-1])


train_ids, train_labels = load(4000, seed=CONFIG["hidden"])


def model():
    return SentimentLSTM(CONFIG)


def data():
    for rows in torch.randperm(len(train_ids)).split(CONFIG["batch"]):
        yield train_ids[rows], train_labels[rows]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=CONFIG["lr"], weight_decay=CONFIG["weight_decay"])
