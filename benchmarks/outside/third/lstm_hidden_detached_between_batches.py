# Answer to "Trying to backward through the graph a second time": repackage the hidden state
import torch
from torch import nn

text = ("the quick brown fox jumps over the lazy dog and then the dog sleeps while the fox runs home. " * 40)
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
stream = ids[: len(ids) // 16 * 16].view(16, -1)


class CharModel(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.emb = nn.Embedding(len(chars), 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, len(chars))
        self.state = None

    def forward(self, x):
        if self.state is not None:
            self.state = tuple(s.detach() for s in self.state)
        h, self.state = self.lstm(self.emb(x), self.state)
        return self.out(h)


def criterion(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def data(bptt=25):
    for i in range(0, stream.shape[1] - bptt - 1, bptt):
        yield stream[:, i : i + bptt], stream[:, i + 1 : i + bptt + 1]


CLIP_GRAD_NORM = 0.25


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
