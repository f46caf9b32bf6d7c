import torch
import torch.nn as nn

torch.manual_seed(42)
N, C = 240, 4
labels = torch.arange(N) % C
P = torch.where(labels[:, None] == labels[None], 0.08, 0.02)
A = (torch.rand(N, N) < P).float().triu(1)
A = A + A.T + torch.eye(N)
dinv = A.sum(1).rsqrt()
A_hat = dinv[:, None] * A * dinv[None]
feat = torch.randn(N, 16) + 1.0 * torch.eye(C, 16)[labels]


class GCNLayer(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o, bias=False)
        nn.init.xavier_uniform_(self.lin.weight)

    def forward(self, h):
        return torch.relu(A_hat @ self.lin(h))


class DeepGCN(nn.Module):
    def __init__(self, width=32, n_layers=16):
        super().__init__()
        self.layers = nn.ModuleList([GCNLayer(16 if k == 0 else width, width) for k in range(n_layers)])
        self.readout = nn.Linear(width, C)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.readout(x)


data = [(feat, labels)]
loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=5e-4)
