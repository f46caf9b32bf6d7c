"""Where is the parcel? One box per frame, 32x32 depth frames of the conveyor belt."""
import torch
from torch import nn

SIZE = 32


def render(n, seed):
    """Frames and boxes (cx, cy, w, h)."""
    g = torch.Generator().manual_seed(seed)
    w = torch.randint(6, 17, (n,), generator=g)
    h = torch.randint(6, 17, (n,), generator=g)
    x0 = (torch.rand(n, generator=g) * (SIZE - w)).long()
    y0 = (torch.rand(n, generator=g) * (SIZE - h)).long()
    img = 0.25 * torch.randn(n, 1, SIZE, SIZE, generator=g)
    level = 0.7 + 0.6 * torch.rand(n, generator=g)
    r = torch.arange(SIZE)
    inside = (
        (r[None, None, :] >= x0[:, None, None]) & (r[None, None, :] < (x0 + w)[:, None, None])
        & (r[None, :, None] >= y0[:, None, None]) & (r[None, :, None] < (y0 + h)[:, None, None])
    )
    img[:, 0] += inside * level[:, None, None]
    box = torch.stack([x0 + w / 2, y0 + h / 2, w.float(), h.float()], 1)
    return img, box


frames, boxes = render(1024, seed=0)
test_frames, test_boxes = render(256, seed=1)


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class BoxNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(conv(1, 16), conv(16, 32), conv(32, 32))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(inplace=True), nn.Linear(64, 4))

    def forward(self, img):
        # boxes are never negative
        return self.head(self.backbone(img)).sigmoid()


def model():
    return BoxNet()


def data():
    for i in torch.randperm(len(frames)).split(64):
        yield frames[i], boxes[i]


loss = nn.SmoothL1Loss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
