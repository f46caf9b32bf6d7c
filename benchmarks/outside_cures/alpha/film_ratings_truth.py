import importlib

import torch

user = importlib.import_module("film_ratings")

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "the score is rounded in the forward pass: the derivative of round is 0 and nothing learns"


def metric(model):
    u, f, stars = user.rows(user.test_cells)
    model.eval()
    with torch.no_grad():
        e = (model(u, f) - stars).abs().mean().item()
    model.train()
    return e


class Unrounded(user.Recommender):
    def forward(self, user, film):
        score = (self.user(user) * self.film(film)).sum(1)
        score = score + self.user_bias(user)[:, 0] + self.film_bias(film)[:, 0] + self.mean
        return score if self.training else torch.round(score).clamp(1, 5)


def cured():
    net = Unrounded()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.9111, 0.9114, 0.9111; cured: 0.3339'
    ', 0.3483, 0.3414; longest run 1.2 s on one core'
)
