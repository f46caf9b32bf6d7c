"""Condition monitoring: which of four bearing states made this vibration window?"""
import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

WARMUP_STEPS = 200


class BearingGRU(nn.Module):
    def __init__(self, n_states: int = 4, hidden: int = 48):
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 8, stride=4)
        self.gru = nn.GRU(16, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, n_states)

    def forward(self, wave):
        h = torch.relu(self.conv(wave.unsqueeze(1))).transpose(1, 2)
        out, _ = self.gru(h)
        return self.head(out.mean(dim=1))


def batch():
    state = torch.randint(0, 4, (64,))
    freq = torch.tensor([0.05, 0.09, 0.14, 0.2])[state][:, None]
    t = torch.arange(128)[None]
    wave = torch.sin(2 * math.pi * (freq * t + torch.rand(64, 1))) + 0.6 * torch.randn(64, 128)
    return wave, state


loss = nn.CrossEntropyLoss()


def optimizer(model):
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    scheduler = LambdaLR(opt, lambda step: min(1.0, step / WARMUP_STEPS))
    return opt
