import torch
import torch.nn as nn


def repackage_hidden(h):
    """from the word_language_model example"""
    return h.detach()


class CopyNet(nn.Module):
    def __init__(self, n_sym=6, hidden=48):
        super().__init__()
        self.emb = nn.Embedding(n_sym + 1, 16)
        self.cell = nn.GRUCell(16, hidden)
        self.fc = nn.Linear(hidden, n_sym)
        self.hidden = hidden

    def forward(self, seq):
        h = torch.zeros(seq.size(0), self.hidden)
        for t in range(seq.size(1)):
            h = repackage_hidden(h)
            h = self.cell(self.emb(seq[:, t]), h)
        return self.fc(h)


def batch(b=64, delay=12, n_sym=6):
    y = torch.randint(0, n_sym, (b,))
    seq = torch.randint(0, n_sym, (b, delay + 1))
    seq[:, 0] = n_sym
    seq[:, 1] = y
    return seq, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
