# sum of the marked numbers, encoder/decoder. Originally PyTorch 0.3
import torch
import torch.nn as nn
from torch.autograd import Variable


class Encoder(nn.Module):
    def __init__(self, n_in, n_hid):
        super(Encoder, self).__init__()
        self.gru = nn.GRU(n_in, n_hid, batch_first=True)

    def forward(self, x):
        _, h = self.gru(x)
        return h[0]


class Decoder(nn.Module):
    def __init__(self, n_hid):
        super(Decoder, self).__init__()
        self.fc1 = nn.Linear(n_hid, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, h):
        return self.fc2(torch.tanh(self.fc1(h)))


class Seq2Vec(nn.Module):
    def __init__(self, n_in=2, n_hid=8):
        super(Seq2Vec, self).__init__()
        self.encoder = Encoder(n_in, n_hid)
        self.decoder = Decoder(n_hid)

    def forward(self, x):
        context = self.encoder(x)
        context = Variable(context.data)
        return self.decoder(context)


def batch():
    v = torch.rand(64, 12) * 2 - 1
    m = torch.zeros(64, 12)
    m.scatter_(1, torch.rand(64, 12).argsort(1)[:, :2], 1.0)
    return torch.stack([v, m], 2), (v * m).sum(1, keepdim=True)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
