import torch

import imu_caption_clip as user

STEPS = 700
GOAL = 0.47
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the cosine similarities are multiplied by the temperature of 0.07 instead of divided by it: logits lie within"
    " +-0.07, the softmax over the batch is flat, its gradient is two hundred times too small"
)


@torch.no_grad()
def metric(model):
    """Top-1 retrieval among 256 held-out pairs."""
    s = model(user.imu_val, user.txt_val)
    return (s.argmax(1) == torch.arange(len(s))).float().mean().item()


def cured():
    net = user.model()
    net.temperature = 1 / 0.07
    return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 700 steps, goal 0.47 -- as it is: 0.2891, 0.2305, 0.2852"
    "; cured: 0.6875, 0.6992, 0.6641; longest run 0.8 s on one core"
)
