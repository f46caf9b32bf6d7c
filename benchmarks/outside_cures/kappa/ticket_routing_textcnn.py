"""Route support tickets to one of five queues. TextCNN (Kim 2014)."""
from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCAB_SIZE = 400
N_QUEUES = 5
SEQ_LEN = 30


def fake_tickets(n: int, rng: np.random.Generator, topics: np.ndarray) -> tuple[Tensor, Tensor]:
    queue = rng.integers(0, N_QUEUES, n)
    docs = np.stack([rng.choice(VOCAB_SIZE, SEQ_LEN, p=topics[q]) for q in queue])
    return torch.from_numpy(docs), torch.from_numpy(queue)


_rng = np.random.default_rng(8)
_topics = _rng.dirichlet(np.full(VOCAB_SIZE, 0.3), N_QUEUES)
_topics = 0.5 * _topics + 0.5 * _topics.mean(0)
train_docs, train_queue = fake_tickets(2000, _rng, _topics)
dev_docs, dev_queue = fake_tickets(500, _rng, _topics)


class TextCNN(nn.Module):
    def __init__(self, emb: int = 48, maps: int = 32, sizes: tuple[int, ...] = (2, 3, 4), drop: float = 0.3):
        super().__init__()
        self.embed = nn.Embedding(VOCAB_SIZE, emb)
        self.convs = nn.ModuleList(nn.Conv1d(emb, maps, k) for k in sizes)
        self.drop = nn.Dropout(drop)
        self.hidden = nn.Linear(maps * len(sizes), 64)
        self.out = nn.Linear(64, N_QUEUES)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)
        pooled = [F.relu(conv(x)).amax(dim=2) for conv in self.convs]
        h = F.relu(self.hidden(self.drop(torch.cat(pooled, dim=1))))
        return self.out(self.drop(h))


def model() -> nn.Module:
    return TextCNN()


def data():
    for rows in torch.randperm(len(train_docs)).split(64):
        yield train_docs[rows], train_queue[rows]


loss = nn.CrossEntropyLoss(label_smoothing=0.05)

LR = 2e-3
WEIGHT_DECAY = 0.1  # overfits otherwise


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
