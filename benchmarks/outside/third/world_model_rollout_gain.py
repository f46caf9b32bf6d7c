# Learned dynamics: one-step loss was fine, 40-step rollout loss is 1e13 and then nan
import torch
from torch import nn

q, _ = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2)))
skew = q.triu(1) - q.triu(1).T
TRUE = torch.matrix_exp(0.05 * skew)


class Dynamics(nn.Module):
    def __init__(self, n=16, horizon=40):
        super().__init__()
        self.step = nn.Linear(n, n)
        self.horizon = horizon
        nn.init.normal_(self.step.weight, std=0.35)

    def forward(self, state):
        trajectory = []
        for _ in range(self.horizon):
            state = self.step(state)
            trajectory.append(state)
        return torch.stack(trajectory, 1)


loss = nn.MSELoss()


def batch():
    s = torch.randn(32, 16)
    path = []
    x = s
    for _ in range(40):
        x = x @ TRUE.T
        path.append(x)
    return s, torch.stack(path, 1)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-2)


if __name__ == "__main__":
    model = Dynamics()
    opt = optimizer(model)
    for i in range(10):
        s, path = batch()
        l = loss(model(s), path)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(i, l.item())
