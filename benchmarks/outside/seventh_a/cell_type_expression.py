"""Cell type from a panel of 60 marker genes (log counts, z scored per gene)."""
import torch
import torch.nn as nn

torch.manual_seed(11)
N_CELLS, N_GENES, N_TYPES = 900, 60, 6

profile = torch.rand(N_TYPES, N_GENES) * 6 * (torch.rand(N_TYPES, N_GENES) < 0.3)
profile[:, 41] = 0.0
labels = torch.randint(0, N_TYPES, (N_CELLS,))
counts = torch.poisson(profile[labels])

expr = torch.log1p(counts)
expr = (expr - expr.mean(0)) / expr.std(0)

net = nn.Sequential(
    nn.Linear(N_GENES, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(64, N_TYPES),
)

loss = nn.functional.cross_entropy


def batch():
    pick = torch.randint(0, N_CELLS, (100,))
    return expr[pick], labels[pick]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
