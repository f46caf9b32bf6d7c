import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

images = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)


class DiscreteAE(nn.Module):
    def __init__(self, codes=8, k=8):
        super().__init__()
        self.codes, self.k = codes, k
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, codes * k))
        self.decoder = nn.Sequential(nn.Linear(codes * k, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())

    def forward(self, x):
        logits = self.encoder(x).view(-1, self.codes, self.k)
        z = F.gumbel_softmax(logits, tau=1.0, hard=True)
        return self.decoder(z.flatten(1))


loss = nn.BCELoss()


def batch():
    x = images[torch.randint(len(images), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
