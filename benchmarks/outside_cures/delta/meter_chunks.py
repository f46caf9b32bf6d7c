"""Smart meter: tariff class is announced in the first ticks, then the load runs on.
Sequences are fed in chunks of 7 ticks; state handling as in the word-language-model example."""
import torch
import torch.nn as nn

TICKS, CHUNK, CLASSES = 28, 7, 3


def load_curves(n, seed):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, CLASSES, (n,), generator=g)
    x = 0.3 * torch.randn(n, TICKS, 2, generator=g)
    code = torch.tensor([[1.5, -1.5], [-1.5, 1.5], [1.5, 1.5]])
    x[:, 1:4] += code[label][:, None]
    x[:, CHUNK:] += 0.5 * torch.sin(torch.arange(TICKS - CHUNK) / 4.0)[None, :, None]
    return x, label


train_x, train_y = load_curves(1600, 1)
hold_x, hold_y = load_curves(600, 2)


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


class TariffGRU(nn.Module):
    def __init__(self, nhid=32):
        super().__init__()
        self.encoder = nn.Linear(2, nhid)
        self.rnn = nn.GRU(nhid, nhid, batch_first=True)
        self.decoder = nn.Linear(nhid, CLASSES)
        self.nhid = nhid

    def init_hidden(self, bsz):
        return torch.zeros(1, bsz, self.nhid)

    def forward(self, x):
        hidden = self.init_hidden(x.shape[0])
        for chunk in x.split(CHUNK, dim=1):
            hidden = repackage_hidden(hidden)
            output, hidden = self.rnn(self.encoder(chunk), hidden)
        return self.decoder(output[:, -1])


def model():
    return TariffGRU()


def data():
    for idx in torch.randperm(len(train_x)).split(32):
        yield train_x[idx], train_y[idx]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


criterion = nn.CrossEntropyLoss()
