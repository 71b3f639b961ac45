import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.nn import functional as F

import page  # this web page: data comes from it, progress goes to it

EPOCHS = 1


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(64)
        self.output = nn.Linear(64 * 7 * 7, 10)

    def forward(self, images):  # (N, 1, 28, 28) bytes -> (N, 10)
        x = (images.float() / 255 - 0.1307) / 0.3081
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.output(x.flatten(1))


def predict(image):  # (28, 28) bytes, the drawing below -> 10 probabilities
    model.eval()
    with torch.no_grad():
        return model(image.view(1, 1, 28, 28)).softmax(1)[0]


images, labels, test_images, test_labels = page.mnist()

torch.manual_seed(0)
model = Digits()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

seen = 0
for epoch in range(EPOCHS):
    model.train()
    for index in torch.randperm(len(images)).split(64):
        logits = model(images[index])
        loss = F.cross_entropy(logits, labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        seen += len(index)
        accuracy = (logits.argmax(1) == labels[index]).float().mean()
        await page.report(seen, EPOCHS * len(images), loss.item(), accuracy.item())

model.eval()
right = 0
with torch.no_grad():
    for index in torch.arange(len(test_images)).split(500):
        right += (model(test_images[index]).argmax(1) == test_labels[index]).sum().item()
        await page.turn()
page.tested(right / len(test_images))
