import torch
from torch import nn

VOCAB = 80


class Attend(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.proj = nn.Linear(d, d)
        self.context = nn.Linear(d, 1, bias=False)

    def forward(self, h):
        a = torch.softmax(self.context(torch.tanh(self.proj(h))), dim=1)
        return (a * h).sum(1)


class HAN(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d)
        self.word = nn.GRU(d, d, batch_first=True, bidirectional=True)
        self.wa = Attend(2 * d)
        self.sent = nn.GRU(2 * d, d, batch_first=True, bidirectional=True)
        self.sa = Attend(2 * d)
        self.fc = nn.Linear(2 * d, 3)

    def forward(self, docs):
        n, s, w = docs.shape
        h, _ = self.word(self.emb(docs.view(n * s, w)))
        sentences = self.wa(h).view(n, s, -1)
        h, _ = self.sent(sentences)
        return self.fc(self.sa(h))


criterion = nn.CrossEntropyLoss()


def batch(n=32):
    docs = torch.randint(9, VOCAB, (n, 4, 8))
    k = torch.randint(0, 3, (n,))
    for j in range(n):
        for _ in range(3):
            docs[j, torch.randint(4, ()), torch.randint(8, ())] = 3 * k[j] + torch.randint(3, ())
    return docs, k


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
