import torch

import patch_transformer_digits as user

STEPS = 300
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "ten post-norm layers at a learning rate of 2e-3 from the first step: the paper's encoder needs its"
    " warm-up there; a smaller rate, or the norm before the sublayers, trains"
)


@torch.no_grad()
def metric(model):
    return (model(user.x_test).argmax(1) == user.y_test).float().mean().item()


def cured():
    net = user.model()
    for layer in net.encoder.layers:
        layer.norm_first = True
    net.encoder.norm = torch.nn.LayerNorm(user.CONFIG["dim"])
    return net, torch.optim.AdamW(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.5 -- as it is: 0.0781, 0.0781, 0.0882"
    "; cured: 0.8312, 0.8338, 0.9093; longest run 9.2 s on one core"
)
