"""One epoch of training on MNIST, written once and run on wasm_torch and on torch.

conv 1->32 3x3, batch norm, relu, max-pool 2; conv 32->64 likewise; linear 3136->10; cross entropy;
Adam, its rate falling linearly over the epoch; batches of 64; all images, with shuffling and
loading inside the timed epoch.
"""

import time

#: Of the training images, in 0..1.
MEAN, DEVIATION = 0.1307, 0.3081


def build(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 10),
    )


def tensors(torch, images, labels):
    """Bytes of idx files without headers: standardised (N, 1, 28, 28) floats, (N) integers."""
    pixels = torch.frombuffer(bytearray(images), dtype=torch.uint8)
    targets = torch.frombuffer(bytearray(labels), dtype=torch.uint8)
    return (pixels.view(-1, 1, 28, 28).float() / 255 - MEAN) / DEVIATION, targets.long()


def accuracy(torch, model, images, labels):
    model.eval()
    correct = 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            scores = model(images[start : start + 500])
            correct += (scores.argmax(1) == labels[start : start + 500]).sum().item()
    return correct / len(images)


def run(torch, train, test, limit=None):
    """Trains one epoch; returns its seconds and the accuracy on the test images."""
    images, labels = tensors(torch, *train)
    if limit is not None:
        images, labels = images[:limit], labels[:limit]
    torch.manual_seed(0)
    model = build(torch)
    optimizer = torch.optim.Adam(model.parameters())
    loss_function = torch.nn.CrossEntropyLoss()
    dataset = torch.utils.data.TensorDataset(images, labels)
    warm_up(torch, images[:64], labels[:64])
    model.train()
    start = time.perf_counter()
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)
    # At a constant rate the accuracy after one epoch hangs on the last few batches.
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=len(loader))
    for batch, targets in loader:
        loss = loss_function(model(batch), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    return {
        "epoch_s": round(seconds, 2),
        "accuracy": accuracy(torch, model, *tensors(torch, *test)),
        "images": len(images),
    }


def warm_up(torch, images, labels, seconds=2.0):
    """Another network trains until the compilers have settled."""
    model = build(torch)
    optimizer = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
