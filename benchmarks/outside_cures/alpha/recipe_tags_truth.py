import importlib

import torch

user = importlib.import_module("recipe_tags")

STEPS = 700
GOAL = 0.5  # micro F1
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "a sigmoid before BCEWithLogitsLoss: the probability the loss sees is between 0.5 and 0.73,"
    " the output saturates at 0 and a tag can never be denied"
)
BAGS, TAGS = user.recipes(600, seed=3)


def metric(model):
    model.eval()
    with torch.no_grad():
        guess = (torch.sigmoid(model(BAGS)) > 0.5).float()
    model.train()
    return (2 * (guess * TAGS).sum() / (guess.sum() + TAGS.sum()).clamp(min=1)).item()


class Logits(user.Tagger):
    def forward(self, bag):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(bag)))))


def cured():
    net = Logits()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 700 steps, goal 0.5 -- as it is: 0.0798, 0.06963, 0.06893; cured: 0.77'
    '14, 0.7531, 0.7842; longest run 0.3 s on one core'
)
