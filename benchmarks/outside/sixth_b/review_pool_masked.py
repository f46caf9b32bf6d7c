"""Attentive pooling over token embeddings (Yang et al. 2016, word level only)."""
import torch
import torch.nn as nn

VOCAB, PAD, MAXLEN = 200, 0, 24


def make_reviews(n):
    # a review is positive when it holds more words of the upper half of the vocabulary
    length = torch.randint(0, MAXLEN + 1, (n,))
    ids = torch.randint(1, VOCAB, (n, MAXLEN))
    ids[torch.arange(MAXLEN)[None] >= length[:, None]] = PAD
    score = ((ids >= VOCAB // 2).sum(1) - ((ids < VOCAB // 2) & (ids != PAD)).sum(1))
    return ids, (score > 0).long()


class WordAttention(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, dim, padding_idx=PAD)
        self.key = nn.Linear(dim, dim)
        self.context = nn.Linear(dim, 1, bias=False)
        self.head = nn.Linear(dim, 2)

    def forward(self, ids):
        e = self.emb(ids)
        s = self.context(torch.tanh(self.key(e))).squeeze(-1)
        s = s.masked_fill(ids == PAD, float("-inf"))
        a = torch.softmax(s, dim=1)
        return self.head((a.unsqueeze(-1) * e).sum(1))


def batch():
    return make_reviews(128)


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
