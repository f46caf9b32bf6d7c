import torch
from torch import nn

steps = torch.randn(4000, generator=torch.Generator().manual_seed(4))
price = 2000 + 500 * torch.sin(torch.arange(4000) / 60.0) + 20 * steps
price = (price - price.mean()) / price.std()


class StockLSTM(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, num_layers=2, batch_first=True, dropout=0.1)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.linear(out[:, -1, :])


criterion = nn.MSELoss()


def batch(n=64, look_back=20):
    start = torch.randint(0, 4000 - look_back - 1, (n,))
    window = torch.stack([price[s : s + look_back] for s in start]).unsqueeze(-1)
    return window, price[start + look_back].unsqueeze(-1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
