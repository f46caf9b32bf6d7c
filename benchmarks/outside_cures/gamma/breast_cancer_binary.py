import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

# ---- data -------------------------------------------------------------------
raw = load_breast_cancer()
rng = np.random.RandomState(42)
perm = rng.permutation(len(raw.target))
X = raw.data[perm].astype("float32")
y = raw.target[perm].astype("float32")
# augment the small set a bit (jittered copies)
X_tr, y_tr = X[:400], y[:400]
mean, std = X_tr.mean(0), X_tr.std(0)
X_tr = (X_tr - mean) / std
X_tr = np.concatenate([X_tr, X_tr + rng.randn(*X_tr.shape).astype("float32") * 0.05])
y_tr = np.concatenate([y_tr, y_tr])
X_va, y_va = (X[400:480] - mean) / std, y[400:480]

X_tr, y_tr = torch.from_numpy(X_tr), torch.from_numpy(y_tr).unsqueeze(1)
X_va, y_va = torch.from_numpy(X_va), torch.from_numpy(y_va).unsqueeze(1)


# ---- model ------------------------------------------------------------------
class TumourNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 1)
        self.dropout = nn.Dropout(0.2)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = self.dropout(x)
        x = torch.relu(self.fc2(x))
        return self.softmax(self.fc3(x))


criterion = nn.BCELoss()


def loss(output, target):
    return criterion(output, target)


def data():
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(X_tr, y_tr), batch_size=32, shuffle=True
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        return ((model(X_va) > 0.5).float() == y_va).float().mean().item()


HIGHER_IS_BETTER = True
