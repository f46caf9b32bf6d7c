import torch
import torch.nn.functional as F
from torch import nn


class GraphClassifier(nn.Module):
    def __init__(self, n_feat=6, hidden=16, k=3):
        super().__init__()
        self.score = nn.Linear(n_feat, 1)
        self.conv = nn.Linear(n_feat, hidden)
        self.lin = nn.Linear(hidden, 2)
        self.k = k

    def forward(self, x, adj):
        score = self.score(x).squeeze(-1)
        h = F.relu(self.conv(adj @ x))
        keep = score.topk(self.k, dim=1).indices
        h = h.gather(1, keep.unsqueeze(-1).expand(-1, -1, h.size(-1)))
        return self.lin(h.mean(dim=1))


def batch(n=96, nodes=24):
    x = torch.randn(n, nodes, 6)
    x[..., 0] = 0
    adj = torch.eye(nodes).expand(n, -1, -1) + (torch.rand(n, nodes, nodes) < 0.02).float()
    y = torch.randint(0, 2, (n,))
    for j in range(3):
        x[torch.arange(n), torch.randint(0, nodes, (n,)), :2] = torch.stack(
            [torch.full((n,), 3.0), 4.0 * y - 2], 1
        )
    return (x, adj), y


def loss(out, y):
    return F.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
