# Which DNA windows contain the (spaced) promoter motif pair TATAAT ... TTGACA?
# conv stem -> bidirectional GRU -> attention pooling -> logit
# regularised, since biologists will give us only few positives later on

import torch
import torch.nn as nn

L = 48
TATA = torch.tensor([3, 0, 3, 0, 0, 3])
TTG = torch.tensor([3, 3, 2, 0, 1, 0])


def windows(n, gen=None):
    s = torch.randint(0, 4, (n, L), generator=gen)
    y = (torch.rand(n, generator=gen) < 0.5).float()
    for k in range(n):
        i = int(torch.randint(0, 14, (1,), generator=gen))
        j = i + 6 + int(torch.randint(10, 20, (1,), generator=gen))
        both = bool(y[k])
        which = int(torch.randint(0, 2, (1,), generator=gen))
        if both or which == 0:
            s[k, i:i + 6] = TATA
        if both or which == 1:
            s[k, j:j + 6] = TTG
    return nn.functional.one_hot(s, 4).float().transpose(1, 2), y


X, Y = windows(2400, torch.Generator().manual_seed(0))


class PromoterNet(nn.Module):
    def __init__(self, ch=32, hid=24):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, ch, 7, padding=3), nn.ReLU(), nn.MaxPool1d(3))
        self.rnn = nn.GRU(ch, hid, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * hid, 1)
        self.out = nn.Linear(2 * hid, 1)

    def forward(self, x):
        h, _ = self.rnn(self.stem(x).transpose(1, 2))
        w = self.score(h).softmax(1)
        return self.out((w * h).sum(1)).squeeze(-1)


def model():
    return PromoterNet()


def data():
    for i in torch.randperm(len(X)).split(64):
        yield X[i], Y[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=0.1)
