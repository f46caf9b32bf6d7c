import torch
from torch import nn


class SegNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ReLU(), nn.Conv2d(16, 1, 1), nn.Sigmoid()
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


criterion = nn.BCEWithLogitsLoss()


def batch(n=16, size=24):
    """White squares on noise; the mask is the square."""
    mask = torch.zeros(n, 1, size, size)
    for k in range(n):
        a, b = torch.randint(2, size - 9, (2,)).tolist()
        mask[k, 0, a : a + 6, b : b + 6] = 1
    return mask + 0.5 * torch.randn_like(mask), mask


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = SegNet()
    opt = optimizer(net)
    for i in range(1000):
        img, m = batch()
        loss = criterion(net(img), m)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 50 == 0:
            print(i, loss.item())
