import torch
from sklearn.datasets import load_digits

digits = load_digits()
X = torch.FloatTensor(digits.data) / 16.0
y = torch.LongTensor(digits.target)

model = torch.nn.Linear(64, 10)
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

data = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(X, y), batch_size=64, shuffle=True
)

if __name__ == "__main__":
    for epoch in range(30):
        for inputs, labels in data:
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}, loss {loss.item():.4f}")
