# minimal example of my model (bank churn, numbers generated)
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset

X, y = make_classification(2000, 16, n_informative=8, weights=[0.6], random_state=3)
X = torch.tensor(X, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(y, dtype=torch.float32).unsqueeze(1)
data = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)


class ChurnModel(nn.Module):
    def __init__(self):
        super(ChurnModel, self).__init__()
        self.fc1 = nn.Linear(16, 64)
        self.fc2 = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)
        self.relu = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.relu(self.fc1(x))
        x = self.relu(self.fc2(x))
        return self.softmax(self.out(x))


criterion = nn.BCELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.001)
