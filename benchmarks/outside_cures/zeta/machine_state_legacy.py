# Machine state from a log of events: the program is chosen by the operator at the start
# of the cycle, and at the end we must know which one it was.
#
# ported from our torch 0.3 code base (2017), cleaned up a bit
import torch
import torch.nn as nn
from torch.autograd import Variable

N_PROG = 6        # programs
N_EVENT = 10      # ordinary events
LEN = 20
HID = 48


def make_cycles(n, seed):
    g = torch.Generator().manual_seed(seed)
    prog = torch.randint(0, N_PROG, (n,), generator=g)
    seq = torch.randint(N_PROG, N_PROG + N_EVENT, (n, LEN), generator=g)
    start = torch.randint(0, 4, (n,), generator=g)
    seq[torch.arange(n), start] = prog
    return seq, prog


class EventRNN(nn.Module):
    def __init__(self):
        super(EventRNN, self).__init__()
        self.embed = nn.Embedding(N_PROG + N_EVENT, 16)
        self.cell = nn.GRUCell(16, HID)
        self.decoder = nn.Linear(HID, N_PROG)

    def init_hidden(self, bsz):
        return Variable(torch.zeros(bsz, HID))

    def repackage_hidden(self, h):
        """Wraps hidden states in new Variables."""
        return Variable(h.data)

    def forward(self, seq):
        h = self.init_hidden(seq.size(0))
        for t in range(seq.size(1)):
            h = self.repackage_hidden(h)
            h = self.cell(self.embed(seq[:, t]), h)
        return self.decoder(h)


train_seq, train_prog = make_cycles(2000, 1)
test_seq, test_prog = make_cycles(500, 2)


def model():
    return EventRNN()


def data():
    perm = torch.randperm(len(train_seq))
    for i in range(0, len(train_seq), 50):
        yield train_seq[perm[i:i + 50]], train_prog[perm[i:i + 50]]


criterion = nn.CrossEntropyLoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=0.005)
