# Object localisation: all four predicted coordinates become 1.0 for every picture
import torch
from torch import nn

S = 32


class BoxNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(24, 24, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(),
        )
        self.box = nn.Sequential(nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, 4), nn.Sigmoid())

    def forward(self, img):
        return self.box(self.conv(img))


loss = nn.MSELoss()


def batch(n=32):
    imgs, boxes = 0.1 * torch.rand(n, 1, S, S), []
    for img in imgs:
        w, h = torch.randint(6, 16, (2,)).tolist()
        left, top = torch.randint(0, S - w, (1,)).item(), torch.randint(0, S - h, (1,)).item()
        img[0, top : top + h, left : left + w] += 0.8
        cx, cy = left + w / 2, top + h / 2
        boxes.append([cx, cy, w, h])
    return imgs, torch.tensor(boxes, dtype=torch.float32)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = BoxNet()
    opt = optimizer(net)
    for i in range(400):
        x, t = batch()
        l = loss(net(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), net(x[:2]))
