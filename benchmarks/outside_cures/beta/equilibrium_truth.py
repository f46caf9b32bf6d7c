import equilibrium as user
import torch

STEPS = 500
GOAL = 0.84
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The fixed point is found under no_grad and used as it is: injection and recurrence get no gradient, only the head trains."

X = torch.tensor(user.digits.data[1300:], dtype=torch.float32) / 16
Y = torch.tensor(user.digits.target[1300:])


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


class OneStep(user.DEQ):
    def forward(self, x):
        z = torch.zeros(len(x), self.recur.in_features)
        with torch.no_grad():
            for _ in range(self.iterations):
                z = self.f(z, x)
        return self.classify(self.f(z, x))


def cured():
    model = OneStep()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.753 0.698 0.606; cured: 0.883 0.901 0.883; goal 0.84, 500 steps, slowest run 0.6 s"
