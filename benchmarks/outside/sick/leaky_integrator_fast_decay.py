import torch
from torch import Tensor, nn


class LeakyNet(nn.Module):
    """Linear leaky integrators, then a read-out at the last step."""

    def __init__(self, n_in: int = 4, n: int = 64, decay: float = 0.5):
        super().__init__()
        self.proj = nn.Linear(n_in, n)
        self.decay = decay
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(n, 4))

    def forward(self, seq: Tensor) -> Tensor:
        state = seq.new_zeros(seq.shape[0], self.proj.out_features)
        for u in self.proj(seq).unbind(1):
            state = self.decay * state + (1 - self.decay) * u
        return self.head(state)


def batch(n: int = 64, steps: int = 60):
    seq = torch.randn(n, steps, 4) * 0.1
    cue = torch.randint(0, 4, (n,))
    seq[torch.arange(n), 2, cue] = 10.0
    return seq, cue


def loss(out: Tensor, cue: Tensor) -> Tensor:
    return nn.functional.cross_entropy(out, cue)


def optimizer(model: nn.Module):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
