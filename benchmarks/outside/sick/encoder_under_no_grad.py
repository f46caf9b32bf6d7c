import torch
from sklearn.datasets import load_digits
from torch import nn


class ConvEncoder(nn.Module):
    def __init__(self, out=6):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.proj = nn.Linear(32, out)

    def forward(self, x):
        return self.proj(self.conv(x).flatten(1))


class Captioner(nn.Module):
    """Spells the name of a digit letter by letter."""

    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

    def __init__(self, hidden=48):
        super().__init__()
        self.encoder = ConvEncoder()
        self.init_h = nn.Linear(6, hidden)
        self.rnn = nn.GRU(27, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 27)

    def forward(self, image, letters):
        with torch.no_grad():
            feat = self.encoder(image)
        h0 = torch.tanh(self.init_h(feat))[None]
        y, _ = self.rnn(nn.functional.one_hot(letters, 27).float(), h0)
        return self.out(y).transpose(1, 2)


def encode(word):
    ids = [ord(c) - 96 for c in word]
    return ids + [0] * (5 - len(ids))


SPELL = torch.tensor([encode(w) for w in Captioner.words])
IMAGES = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
LABELS = torch.tensor(load_digits().target)


def batch(n=64):
    i = torch.randint(0, len(LABELS), (n,))
    target = SPELL[LABELS[i]]
    shifted = torch.cat([torch.zeros(n, 1, dtype=torch.long), target[:, :-1]], dim=1)
    return (IMAGES[i], shifted), target


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
