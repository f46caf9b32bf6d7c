# cold room: how far was the door open when the truck docked?  (door angle, dock contact, temperature)
# recurrent part adapted from pytorch/examples word_language_model
import torch
import torch.nn as nn

T_STEPS = 24


def logs(n, seed):
    g = torch.Generator().manual_seed(seed)
    angle = 2 * torch.rand(n, T_STEPS, generator=g) - 1
    truck = torch.zeros(n, T_STEPS)
    when = torch.randint(0, T_STEPS - 6, (n,), generator=g)
    truck[torch.arange(n), when] = 1.0
    temp = torch.randn(n, T_STEPS, generator=g) * 0.3
    at_truck = angle[torch.arange(n), when]
    return torch.stack([angle, truck, temp], 2), at_truck[:, None] / 0.58


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    return h.detach()


class DoorAtDock(nn.Module):
    def __init__(self, nhid=32):
        super().__init__()
        self.nhid = nhid
        self.encoder = nn.Sequential(nn.Linear(3, 16), nn.ReLU())
        self.cell = nn.GRUCell(16, nhid)
        self.decoder = nn.Linear(nhid, 1)

    def init_hidden(self, bsz):
        return next(self.parameters()).new_zeros(bsz, self.nhid)

    def forward(self, x):
        emb = self.encoder(x)
        h = self.init_hidden(x.size(0))
        for t in range(x.size(1)):
            h = repackage_hidden(h)
            h = self.cell(emb[:, t], h)
        return self.decoder(h)


inputs, angles = logs(2000, 50)


def model():
    return DoorAtDock()


def data():
    for i in torch.randperm(len(inputs)).split(64):
        yield inputs[i], angles[i]


loss = nn.SmoothL1Loss()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=3e-3)
