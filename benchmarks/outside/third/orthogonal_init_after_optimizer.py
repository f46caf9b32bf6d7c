# Only the biases change?! I print the weights before and after and they are bitwise equal
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(0)
X = torch.tensor(load_digits().images / 16, dtype=torch.float32).unsqueeze(1)
Y = torch.tensor(load_digits().target)

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(8, 8, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32, 16),
    nn.ReLU(),
    nn.Linear(16, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()

for m in model:
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        m.weight = nn.Parameter(nn.init.orthogonal_(torch.empty_like(m.weight)))


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], Y[i]


if __name__ == "__main__":
    before = model[0].weight.clone()
    for _ in range(400):
        xb, yb = batch()
        optimizer.zero_grad()
        criterion(model(xb), yb).backward()
        optimizer.step()
    print("unchanged:", torch.equal(before, model[0].weight))
    print((model(X).argmax(1) == Y).float().mean())
