import importlib

import torch

user = importlib.import_module("hash_pairs")

STEPS = 500
GOAL = 0.78
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "the code is torch.sign of the features, whose derivative is 0: nothing below it learns"
LEFT, RIGHT, SAME = user.make_pairs(user.test_ids[250:], 500, seed=13)


def metric(model):
    model.eval()
    with torch.no_grad():
        guess = model(user.pixels[LEFT], user.pixels[RIGHT]) > 0
    model.train()
    return (guess == (SAME > 0.5)).float().mean().item()


class Soft(user.HashNet):
    def code(self, image):
        h = torch.max_pool2d(torch.relu(self.conv1(image)), 2)
        h = torch.max_pool2d(torch.relu(self.conv2(h)), 2)
        return torch.tanh(self.fc(h.flatten(1)))


def cured():
    net = Soft()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.78 -- as it is: 0.556, 0.55, 0.55; cured: 0.914, 0.8'
    '82, 0.902; longest run 1.3 s on one core'
)
