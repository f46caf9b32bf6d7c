import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

X, y = load_wine(return_X_y=True)
X = torch.tensor(StandardScaler().fit_transform(X)).float()
y = torch.tensor(y)

hidden = []
for _ in range(5):
    hidden.append(nn.Linear(40, 40))
    hidden.append(nn.Softmax(dim=-1))

model = nn.Sequential(nn.Linear(13, 40), nn.Softmax(dim=-1), *hidden, nn.Linear(40, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
batch = (X, y)

if __name__ == "__main__":
    for epoch in range(500):
        optimizer.zero_grad()
        out = model(X)
        loss = criterion(out, y)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item(), (out.argmax(1) == y).float().mean().item())
