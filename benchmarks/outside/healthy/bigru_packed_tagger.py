"""Bidirectional GRU over packed sequences: is this token the largest so far?"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Tagger(nn.Module):
    def __init__(self, n_tok=50, d=32, h=48):
        super().__init__()
        self.emb = nn.Embedding(n_tok, d, padding_idx=0)
        self.rnn = nn.GRU(d, h, batch_first=True, bidirectional=True)
        self.tag = nn.Linear(2 * h, 2)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(
            self.emb(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        out, _ = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=tokens.shape[1])
        return self.tag(out)


def batch(n=32, longest=20):
    lengths = torch.randint(5, longest + 1, (n,))
    lengths[0] = longest
    tokens = torch.randint(1, 50, (n, longest))
    pad = torch.arange(longest)[None] >= lengths[:, None]
    tokens[pad] = 0
    labels = (tokens == tokens.cummax(1).values).long()
    labels[pad] = -100
    return (tokens, lengths), labels


def loss(output, target):
    return nn.functional.cross_entropy(output.transpose(1, 2), target, ignore_index=-100)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
