# LSTM stock price prediction gives a straight line
import torch
from torch import nn

steps = torch.randn(4000, generator=torch.Generator().manual_seed(4))
t = torch.arange(4000)
price = 2000 + 500 * torch.sin(t / 60.0) + 20 * steps


class StockLSTM(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=hidden, num_layers=2, batch_first=True)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.linear(out[:, -1, :])


criterion = nn.MSELoss()


def batch(n=64, look_back=20):
    start = torch.randint(0, 4000 - look_back - 1, (n,))
    window = torch.stack([price[s : s + look_back] for s in start]).unsqueeze(-1)
    target = price[start + look_back].unsqueeze(-1)
    return window, target


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    model = StockLSTM()
    opt = optimizer(model)
    for epoch in range(400):
        x, target = batch()
        loss = criterion(model(x), target)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(loss.item())
