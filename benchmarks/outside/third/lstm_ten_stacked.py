import torch, torch.nn as nn

# "more layers = more capacity" - activity recognition from a 3-axis accelerometer, 4 activities


class HAR(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 32, num_layers=10, batch_first=True)
        self.cls = nn.Linear(32, 4)

    def forward(self, x):
        seq, _ = self.rnn(x)
        return self.cls(seq[:, -1])


def batch(n=64):
    t = torch.linspace(0, 2, 30)
    y = torch.randint(0, 4, (n,))
    freq = torch.tensor([0.0, 1.0, 2.0, 4.0])[y]
    phase = torch.rand(n, 1, 3) * 6.28
    x = torch.sin(6.28 * freq[:, None, None] * t[None, :, None] + phase) + 0.2 * torch.randn(n, 30, 3)
    return x, y


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)


def metric(m):
    x, y = batch(400)
    with torch.no_grad():
        return (m(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    net = HAR()
    opt = optimizer(net)
    for i in range(200):
        x, y = batch()
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 50 == 0: print(i, loss.item())
