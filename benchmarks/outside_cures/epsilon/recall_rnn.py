"""Tutorial 3: what did the sequence start with?

A symbol 0..7 comes first, then distractors, and at the very end the net has to say the symbol.
Students should see the loss at log(8)=2.08 go down. (It does not, with my settings. Ask Jonas?)
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LENGTH = 60
SYMBOLS = 8
DISTRACTORS = 8


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    first = torch.randint(0, SYMBOLS, (n, 1), generator=g)
    rest = torch.randint(SYMBOLS, SYMBOLS + DISTRACTORS, (n, LENGTH - 1), generator=g)
    return torch.cat([first, rest], 1), first[:, 0]


train_set = TensorDataset(*make(1600, 0))
val_x, val_y = make(400, 1)


class Recaller(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS + DISTRACTORS, 16)
        self.rnn = nn.RNN(16, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, SYMBOLS)

    def forward(self, tokens):
        states, last = self.rnn(self.embed(tokens))
        return self.readout(last[0])


def model():
    return Recaller()


def data():
    return DataLoader(train_set, batch_size=50, shuffle=True)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model):
    return (model(val_x).argmax(1) == val_y).float().mean().item()


GOAL = 0.9
HIGHER_IS_BETTER = True
