import stream_gru as user
import torch

STEPS = 800
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The hidden state is detached at every step, so that no gradient flows through time and nothing learns to remember."

X, Y = user.build(500, 17)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


class Attached(user.StreamReader):
    def forward(self, clicks):
        h = clicks.new_zeros(len(clicks), self.size)
        for t in range(clicks.shape[1]):
            h = self.cell(clicks[:, t], h)
        return self.decide(h)


def cured():
    model = Attached()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.31 0.266 0.236; cured: 1 0.998 1; goal 0.85, 800 steps, slowest run 4.1 s"
