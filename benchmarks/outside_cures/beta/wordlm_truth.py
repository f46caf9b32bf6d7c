import torch
import wordlm as user

STEPS = 400
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The model ends in a softmax and cross_entropy applies another: nearly flat loss, gradients crushed."

C, F = user.sample(1000, 55)


def metric(model):
    with torch.no_grad():
        return (model(C).argmax(-1) == F).float().mean().item()


class Logits(user.LM):
    def forward(self, tokens):
        return self.body(self.emb(tokens).flatten(1))


def cured():
    model = Logits()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.278 0.258 0.311; cured: 1 1 1; goal 0.6, 400 steps, slowest run 0.3 s"
