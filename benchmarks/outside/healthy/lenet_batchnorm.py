import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self):
        super(ConvNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = torch.flatten(x, 1)
        x = F.dropout(F.relu(self.fc1(x)), 0.5, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


digits = load_digits()
images = torch.tensor((digits.images - 4.88) / 6.02, dtype=torch.float32).unsqueeze(1)
data = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)
criterion = nn.NLLLoss()


def optimizer(model):
    return torch.optim.Adadelta(model.parameters(), lr=1.0)


def main():
    model = ConvNet()
    opt = optimizer(model)
    sched = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.7)
    for epoch in range(1, 6):
        for x, y in data:
            opt.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            opt.step()
        sched.step()
        print(f"Epoch {epoch}: {loss.item():.4f}")


if __name__ == "__main__":
    main()
