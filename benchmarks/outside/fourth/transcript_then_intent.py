"""End to end: sound -> transcript -> intent, one loss on the intent."""
import torch
from torch import nn

SYMBOLS, INTENTS = 12, 4


class SpokenIntent(nn.Module):
    def __init__(self):
        super().__init__()
        self.acoustic = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, SYMBOLS))
        self.words = nn.Embedding(SYMBOLS, 32)
        self.intent = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, INTENTS))

    def forward(self, frames):
        transcript = self.acoustic(frames).argmax(dim=-1)
        return self.intent(self.words(transcript).mean(1))


prototypes = torch.randn(4, 20, generator=torch.Generator().manual_seed(1))
nuisance = torch.randn(6, 20, generator=torch.Generator().manual_seed(2))


def batch(n=64, frames=8):
    y = torch.randint(INTENTS, (n,))
    x = 0.7 * prototypes[y][:, None, :].repeat(1, frames, 1)
    x = x + 3.0 * torch.randn(n, frames, 6) @ nuisance
    return x, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
