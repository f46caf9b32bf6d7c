# Translation tutorial boiled down: reverse a string, with Bahdanau attention + teacher forcing
import torch
import torch.nn as nn
import torch.nn.functional as F

SOS, V = 0, 12


class Encoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.embedding = nn.Embedding(V, h)
        self.gru = nn.GRU(h, h, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))


class BahdanauAttention(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.Wa, self.Ua, self.Va = nn.Linear(h, h), nn.Linear(h, h), nn.Linear(h, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class Seq2Seq(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.encoder = Encoder(h)
        self.attention = BahdanauAttention(h)
        self.embedding = nn.Embedding(V, h)
        self.gru = nn.GRU(2 * h, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, src, tgt):
        keys, hidden = self.encoder(src)
        steps = []
        prev = torch.full_like(src[:, :1], SOS)
        for i in range(tgt.size(1)):
            query = hidden.permute(1, 0, 2)
            context, _ = self.attention(query, keys)
            o, hidden = self.gru(torch.cat((self.embedding(prev), context), dim=2), hidden)
            steps.append(self.out(o))
            prev = tgt[:, i : i + 1]
        return F.log_softmax(torch.cat(steps, 1), dim=-1)


def model():
    return Seq2Seq()


def batch():
    src = torch.randint(1, V, (48, 8))
    tgt = src.flip(1)
    return (src, tgt), tgt


def loss(output, target):
    return F.nll_loss(output.reshape(-1, V), target.reshape(-1))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
