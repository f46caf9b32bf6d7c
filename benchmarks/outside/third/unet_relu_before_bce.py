# U-Net predicts only background. State after the first iterations, it does not recover from here.
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

digits = torch.tensor(load_digits().images, dtype=torch.float32) / 16
g = torch.Generator().manual_seed(3)
IMGS = 0.3 * torch.rand(600, 1, 16, 16, generator=g)
MASKS = torch.zeros(600, 1, 16, 16)
for i in range(600):
    r, c = torch.randint(0, 9, (2,), generator=g).tolist()
    IMGS[i, 0, r : r + 8, c : c + 8] += digits[i]
    MASKS[i, 0, r : r + 8, c : c + 8] = (digits[i] > 0.4).float()


def double(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1 = double(1, c)
        self.down2 = double(c, 2 * c)
        self.mid = double(2 * c, 4 * c)
        self.up2 = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2)
        self.dec2 = double(4 * c, 2 * c)
        self.up1 = nn.ConvTranspose2d(2 * c, c, 2, 2)
        self.dec1 = double(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        s1 = self.down1(x)
        s2 = self.down2(F.max_pool2d(s1, 2))
        m = self.mid(F.max_pool2d(s2, 2))
        d2 = self.dec2(torch.cat([self.up2(m), s2], 1))
        d1 = self.dec1(torch.cat([self.up1(d2), s1], 1))
        return F.relu(self.out(d1))


loss = nn.BCEWithLogitsLoss()


def batch():
    k = torch.randint(0, 600, (16,))
    return IMGS[k], MASKS[k]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def load_model():
    """Stands for the checkpoint of the first epoch."""
    torch.manual_seed(0)
    net = UNet()
    opt = optimizer(net)
    for _ in range(150):
        x, t = batch()
        opt.zero_grad()
        loss(net(x), t).backward()
        opt.step()
    return net


if __name__ == "__main__":
    net = load_model()
    print("foreground pixels predicted:", (net(IMGS[:100]) > 0).float().mean().item())
