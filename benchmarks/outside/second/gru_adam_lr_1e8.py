import torch
from torch import nn

LR = 1e-8
VOCAB = 200


class SentimentGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 32, padding_idx=0)
        self.gru = nn.GRU(32, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, 1)

    def forward(self, text):
        out, hidden = self.gru(self.embedding(text))
        return self.fc(torch.cat([hidden[0], hidden[1]], dim=1)).squeeze(1)


def batch(n=64, length=20):
    text = torch.randint(1, VOCAB, (n, length))
    good = (text < 60).sum(1)
    bad = (text > 140).sum(1)
    return text, (good > bad).float()


def loss(logit, label):
    return nn.functional.binary_cross_entropy_with_logits(logit, label)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=LR)
