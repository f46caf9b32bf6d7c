import torch

import fp16_segmenter as user

STEPS = 120
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The loss is scaled by 1e-4 and averaged over all pixels, so the gradients underflow in the "
    "float16 network, and so would their squares inside Adam without the scale; float32 weights "
    "and a loss of the usual size are needed together."
)


def metric(model):
    img, mask = user.scene(300, seed=1001)
    model.eval()
    with torch.no_grad():
        p, m = model(img) > 0.5, mask > 0.5
    return ((p & m).sum() / (p | m).sum().clamp(min=1)).item()


class Float32(user.SegNet):
    def __init__(self):
        super().__init__()
        self.float()

    def forward(self, x):
        x = torch.relu(self.enc1(x))
        x = torch.relu(self.enc2(x))
        x = torch.relu(self.enc3(x))
        return torch.sigmoid(self.head(x))


def plain_loss(output, target):
    return ((output - target) ** 2).mean()


def cured():
    model = Float32()
    return model, torch.optim.Adam(model.parameters(), lr=5e-3), plain_loss


EVIDENCE = (
    "120 steps, seeds 0 1 2: as it is 0.1102, 0.1102, 0; cured 0.9103, 0.9057, 0.917; "
    "goal 0.55; slowest run 5.0 s on one core"
)
