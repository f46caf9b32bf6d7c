"""Where is the blob?  Regress its centre from a 12 x 12 image."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE = 12


def render(n, seed):
    g = torch.Generator().manual_seed(seed)
    centre = 2 + (SIZE - 5) * torch.rand(n, 2, generator=g)
    grid = torch.arange(SIZE).float()
    dy = grid[None, :, None] - centre[:, 0, None, None]
    dx = grid[None, None, :] - centre[:, 1, None, None]
    img = torch.exp(-(dx**2 + dy**2) / 2.5) + 0.1 * torch.randn(n, SIZE, SIZE, generator=g)
    return img[:, None], centre / (SIZE - 1) * 2 - 1


train_ds = TensorDataset(*render(2000, 0))
valid_ds = TensorDataset(*render(300, 1))


def data():
    return DataLoader(train_ds, batch_size=50, shuffle=True)


class Locator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        return self.head(self.conv(x))


loss = nn.MSELoss()


def optimizer(model):
    # strong regularisation, the val curve looked overfitted
    return torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.1)


def metric(model):
    img, centre = valid_ds.tensors
    model.eval()
    with torch.no_grad():
        return (model(img) - centre).abs().mean().item()


GOAL = 0.12
HIGHER_IS_BETTER = False
