# Bradley-Terry reward model over precomputed sentence features (pairs: chosen, rejected)
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(3)
taste = torch.randn(40) / 40**0.5


class RewardModel(nn.Module):
    def __init__(self, d_in=40, d_model=64, n_layers=28):
        super().__init__()
        self.proj = nn.Linear(d_in, d_model)
        self.layers = nn.ModuleList(nn.Linear(d_model, d_model) for _ in range(n_layers))
        self.value = nn.Linear(d_model, 1, bias=False)

    def score(self, feats):
        h = self.proj(feats)
        for layer in self.layers:
            h = F.gelu(layer(h))
        return self.value(h).squeeze(-1)

    def forward(self, pairs):
        return self.score(pairs[:, 0]) - self.score(pairs[:, 1])


def batch(n=64):
    pairs = torch.randn(n, 2, 40)
    better = (pairs @ taste).argmax(1)
    return pairs, (better == 0).float()


def loss(margin, first_wins):
    return F.binary_cross_entropy_with_logits(margin, first_wins)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
