import importlib

import torch

user = importlib.import_module("two_stage")

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "the image encoder's output is detached (for a cache): the encoder stays as it was drawn"
IMAGES, META, KINDS = user.make(500, seed=102)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(IMAGES, META).argmax(1) == KINDS).float().mean().item()
    model.train()
    return acc


class Attached(user.Fusion):
    def forward(self, image, meta):
        h = self.encoder(image)
        self.cache = h.detach()
        return self.classifier(torch.cat([h, self.meta(meta)], dim=1))


def cured():
    net = Attached()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.75 -- as it is: 0.254, 0.624, 0.554; cured: 0.874, 0'
    '.906, 0.946; longest run 0.8 s on one core'
)
