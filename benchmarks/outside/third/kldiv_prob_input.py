"""Distil a random-forest teacher into a small net with nn.KLDivLoss."""
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from torch import nn

X_np, y_np = load_digits(return_X_y=True)
forest = RandomForestClassifier(60, random_state=0).fit(X_np, y_np)
X = torch.tensor((X_np - 5) / 6, dtype=torch.float32)
Y = torch.tensor(y_np)
SOFT = torch.tensor(forest.predict_proba(X_np), dtype=torch.float32)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, x):
        return torch.softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)


def batch(n=128):
    i = torch.randint(0, len(X), (n,))
    return X[i], SOFT[i]


criterion = nn.KLDivLoss(reduction="batchmean")


def loss(output, target):
    return criterion(output, target)


def optimizer(student):
    return torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)


def metric(student):
    with torch.no_grad():
        p = student(X).clamp_min(1e-8)
    return (SOFT * (SOFT.clamp_min(1e-8).log() - p.log())).sum(1).mean().item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    s = Student()
    opt = optimizer(s)
    for _ in range(400):
        x, t = batch()
        opt.zero_grad()
        loss(s(x), t).backward()
        opt.step()
    print("true KL to the teacher", metric(s))
