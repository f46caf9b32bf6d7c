"""Delayed match-to-cue, after the monkey experiments.

A cue (one of 6) is flashed at t=0, then 20 noisy frames, then a go signal; the network has to say
which cue it was. Own recurrent loop, because we want to look at every hidden state later.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

N_CUES, N_NOISE, DELAY = 6, 4, 20


def trials(n, gen=None):
    cue = torch.randint(0, N_CUES, (n,), generator=gen)
    x = torch.zeros(n, DELAY + 2, N_CUES + N_NOISE + 1)
    x[torch.arange(n), 0, cue] = 1.0
    x[:, :, N_CUES:N_CUES + N_NOISE] = 0.3 * torch.randn(n, DELAY + 2, N_NOISE, generator=gen)
    x[:, -1, -1] = 1.0  # go
    return x, cue


class CueNet(nn.Module):
    def __init__(self, n_hidden=48):
        super().__init__()
        self.n_hidden = n_hidden
        self.cell = nn.GRUCell(N_CUES + N_NOISE + 1, n_hidden)
        self.readout = nn.Linear(n_hidden, N_CUES)

    def forward(self, x, return_states=False):
        h = x.new_zeros(x.shape[0], self.n_hidden)
        states = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            states.append(h)
            h = h.detach()  # keep memory flat over long sessions
        out = self.readout(states[-1])
        return (out, torch.stack(states, 1)) if return_states else out


def model():
    return CueNet()


def data():
    for _ in range(100):
        yield trials(64)


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
