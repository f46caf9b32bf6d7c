import torch
from sklearn.datasets import load_digits
from torch import nn


class LIF(nn.Module):
    def __init__(self, n_in, n_out, beta=0.9, threshold=1.0):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.beta = beta
        self.threshold = threshold

    def forward(self, spikes_in):
        mem = torch.zeros(spikes_in.size(1), self.fc.out_features)
        out = []
        for s in spikes_in:
            mem = self.beta * mem + self.fc(s)
            spk = (mem > self.threshold).float()
            mem = mem - spk * self.threshold
            out.append(spk)
        return torch.stack(out)


class SNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = LIF(64, 32)
        self.l2 = LIF(32, 12)
        self.readout = nn.Linear(12, 10)

    def forward(self, spikes):
        return self.readout(self.l2(self.l1(spikes)).mean(0))


x_img, y_img = load_digits(return_X_y=True)
rates = torch.tensor(x_img / 16, dtype=torch.float32)


def batch(steps=8, n=64):
    i = torch.randint(len(rates), (n,))
    spikes = (torch.rand(steps, n, 64) < rates[i]).float()
    return spikes, torch.tensor(y_img)[i]


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
