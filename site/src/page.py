"""The module ``page`` that the program in the editor imports: data in, progress out."""

from __future__ import annotations

import asyncio
import linecache
import time
import traceback
from typing import ClassVar

from pyodide.code import eval_code_async

FILENAME = "train.py"
#: Seconds between two turns of the event loop, in which Stop and predictions are heard.
TURN = 0.05
#: Seconds between two messages to the page.
MESSAGE = 0.1


class Stopped(BaseException):
    """Raised inside the program when Stop was pressed."""


class _State:
    """What the worker and the running program share."""

    post = None  # JavaScript: post(kind, *values)
    tensors = ()
    namespace: ClassVar[dict] = {}
    stopping = False
    start = 0.0
    last_turn = 0.0
    last_message = 0.0
    pending: ClassVar[list[tuple[float, float]]] = []


def mnist():
    """The training images and labels, then the test images and labels.

    Images are uint8 (N, 1, 28, 28), labels int64 (N,).
    """
    return _State.tensors


async def report(seen: int, total: int, loss: float, accuracy: float) -> None:
    """Shows one training step: images seen so far and in all, the batch's loss and accuracy.

    Lets the page speak, as ``turn`` does.
    """
    now = time.perf_counter()
    if not _State.start:
        _State.start = _State.last_message = now
    _State.pending.append((loss, accuracy))
    if now - _State.last_message >= MESSAGE or seen >= total:
        count = len(_State.pending)
        mean_loss = sum(item[0] for item in _State.pending) / count
        mean_accuracy = sum(item[1] for item in _State.pending) / count
        _State.pending.clear()
        _State.last_message = now
        threads, memory = usage()
        seconds = now - _State.start
        _State.post("progress", seen, total, mean_loss, mean_accuracy, seconds, threads, memory)
    await turn()


async def turn() -> None:
    """Lets the page speak, every 50 ms. Raises Stopped after Stop was pressed."""
    now = time.perf_counter()
    if now - _State.last_turn >= TURN:
        _State.last_turn = now
        await asyncio.sleep(0)
    if _State.stopping:
        raise Stopped


def tested(accuracy: float) -> None:
    """Shows the accuracy on the test images, a fraction."""
    _State.post("tested", accuracy)


def usage() -> tuple[int, int]:
    """Threads in use and bytes of engine memory held by tensors."""
    import wasm_torch

    return wasm_torch.get_num_threads(), wasm_torch.memory_stats()["current"]


def load(post, train_images, train_labels, test_images, test_labels, limit) -> None:
    """Takes the idx files' bytes from the worker; ``limit`` training images are kept."""
    import wasm_torch as torch

    def tensor(content, header, count=-1):
        return torch.frombuffer(content.to_py(), dtype=torch.uint8, offset=header, count=count)

    _State.post = post
    _State.tensors = (
        tensor(train_images, 16, limit * 28 * 28).view(-1, 1, 28, 28),
        tensor(train_labels, 8, limit).long(),
        tensor(test_images, 16).view(-1, 1, 28, 28),
        tensor(test_labels, 8).long(),
    )


def stop() -> None:
    _State.stopping = True


async def run(source: str) -> None:
    """Runs the editor's program in a fresh namespace and posts how it ended."""
    lines = source.splitlines(keepends=True)
    linecache.cache[FILENAME] = (len(source), None, lines, FILENAME)
    namespace = _State.namespace = {"__name__": "__main__"}
    _State.stopping = False
    _State.start = _State.last_turn = 0.0
    _State.pending.clear()
    try:
        await eval_code_async(source, namespace, filename=FILENAME)
    except Stopped:
        _State.post("finished", "stopped", can_predict())
    except BaseException as error:
        text, line = describe(error)
        _State.post("error", text, line, can_predict())
    else:
        _State.post("finished", "trained", can_predict())


def can_predict() -> bool:
    """Whether the program has got far enough for its ``predict`` to be called."""
    return callable(_State.namespace.get("predict")) and "model" in _State.namespace


def predict(pixels):
    """Ten probabilities for 784 bytes, from the program's own ``predict``.

    The program may be training meanwhile: its model is left in the mode that it was in.
    """
    import wasm_torch as torch

    if not can_predict():
        raise LookupError("there are no predict(image) and model in it")
    model = _State.namespace["model"]
    training = model.training
    image = torch.frombuffer(pixels.to_py(), dtype=torch.uint8).view(28, 28)
    try:
        return _State.namespace["predict"](image).tolist()
    finally:
        model.train(training)


def describe(error: BaseException) -> tuple[str, int]:
    """The traceback without the interpreter's own frames, and the program's line or 0."""
    report = traceback.TracebackException.from_exception(error)
    ours = [frame for frame in report.stack if "/_pyodide/" not in frame.filename]
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in ours if frame.filename != __file__]
    )
    lines = [frame.lineno or 0 for frame in report.stack if frame.filename == FILENAME]
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        lines.append(error.lineno or 0)
    return "".join(report.format()), lines[-1] if lines else 0
