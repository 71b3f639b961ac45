"""The module ``page`` that the program in the editor imports: data in, progress out."""

from __future__ import annotations

import asyncio
import gc
import io
import linecache
import math
import sys
import time
import traceback
from typing import Any, ClassVar, NoReturn

from pyodide.code import eval_code_async

FILENAME = "train.py"
#: Seconds between two turns of the event loop, in which Stop and predictions are heard.
TURN = 0.05
#: Seconds between two messages to the page.
MESSAGE = 0.1
#: Characters of an exception's heading, and of the report below it, that are shown.
HEADING = 160
REPORT = 20_000


class Stopped(BaseException):
    """Raised inside the program when Stop was pressed."""


class _NoInput(io.TextIOBase):
    """Standard input: there is none, and whoever reads is told so."""

    def read(self, size: int | None = -1, /) -> NoReturn:
        raise EOFError(
            "there is no input here: this page cannot ask while the program runs. "
            "Write the value into the program"
        )

    readline = read


class _State:
    """What the worker and the running program share."""

    post = None  # JavaScript: post(kind, *values)
    data = ()  # JavaScript: the idx files' bytes
    limit = 0  # training images
    tensors = ()  # made of the data when a run asks for them
    namespace: ClassVar[dict] = {}
    names: ClassVar[dict] = {}  # this module's own, as they were
    streams = ()
    settings = ()  # threads and seed as they were before the first run
    stopping = False
    start = 0.0
    last_turn = 0.0
    last_message = 0.0
    pending: ClassVar[list[tuple[float, float]]] = []


def mnist():
    """The training images and labels, then the test images and labels.

    Images are uint8 (N, 1, 28, 28), labels int64 (N,). They belong to this run of the program.
    """
    if not _State.tensors:
        train_images, train_labels, test_images, test_labels = _State.data
        _State.tensors = (
            _tensor(train_images, 16, _State.limit * 28 * 28).view(-1, 1, 28, 28),
            _tensor(train_labels, 8, _State.limit).long(),
            _tensor(test_images, 16).view(-1, 1, 28, 28),
            _tensor(test_labels, 8).long(),
        )
    return _State.tensors


def _tensor(content, header: int, count: int | None = None):
    """The bytes of an idx file behind its header, ``count`` of them or all."""
    import wasm_torch as torch

    end = content.length if count is None else header + count
    return torch.frombuffer(content.subarray(header, end).to_py(), dtype=torch.uint8)


def _kind(value: Any) -> str:
    """What a value is, for an error's text."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a tensor of shape {tuple(shape)}"
    return "None" if value is None else f"of type {type(value).__name__}"


def _number(name: str, value: Any) -> float:
    """The value as a float, where it is a number or a tensor of one."""
    try:
        if isinstance(value, str | bytes | bytearray):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"page.{name} must be a number, not {_kind(value)}") from None


async def report(seen: float, total: float, loss: float, accuracy: float) -> None:
    """Shows one training step: images seen so far and in all, the batch's loss and accuracy.

    Tensors of one element are numbers too. Lets the page speak, as ``turn`` does.
    """
    seen, total = _number("report: seen", seen), _number("report: total", total)
    loss, accuracy = _number("report: loss", loss), _number("report: accuracy", accuracy)
    if not 0 <= seen < math.inf:
        raise ValueError(f"page.report: seen must not be negative or infinite, but is {seen:g}")
    if not 0 < total < math.inf:
        raise ValueError(f"page.report: total must be above 0 and finite, but is {total:g}")
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
        means = mean_loss, mean_accuracy
        elapsed = now - _State.start
        _State.post("progress", seen, total, *means, elapsed, threads, memory, can_predict())
    await turn()


async def turn() -> None:
    """Lets the page speak, every 50 ms. Raises Stopped after Stop was pressed."""
    now = time.perf_counter()
    if now - _State.last_turn >= TURN:
        _State.last_turn = now
        _flush()
        await asyncio.sleep(0)
    if _State.stopping:
        raise Stopped


def tested(accuracy: float) -> None:
    """Shows the accuracy on the test images, a fraction."""
    accuracy = _number("tested: accuracy", accuracy)
    if not 0 <= accuracy <= 1:
        raise ValueError(
            f"page.tested: accuracy must be a fraction, from 0 to 1, but is {accuracy:g}"
        )
    _State.post("tested", accuracy)


def usage() -> tuple[int, int]:
    """Threads in use and bytes of engine memory held by tensors."""
    import wasm_torch

    return wasm_torch.get_num_threads(), wasm_torch.memory_stats()["current"]


def load(post, train_images, train_labels, test_images, test_labels, limit) -> None:
    """Takes the idx files' bytes from the worker; ``limit`` training images are used."""
    _State.post = post
    _State.data = (train_images, train_labels, test_images, test_labels)
    _State.limit = limit
    _State.streams = (_NoInput(), sys.stdout, sys.stderr)


def stop() -> None:
    _State.stopping = True


def _flush() -> None:
    """Sends what was printed without a newline on its way."""
    for stream in _State.streams[1:]:
        stream.flush()


def _restore_names() -> None:
    """Undoes what a program assigned to names of this module."""
    for name in globals().keys() - _State.names.keys():
        del globals()[name]
    globals().update(_State.names)


def _refresh() -> None:
    """Undoes what an earlier run left: its names and tensors, settings of torch, the streams."""
    import wasm_torch as torch

    _State.namespace = {"__name__": "__main__"}
    _State.tensors = ()
    # A program's functions and its namespace hold each other, and with them its tensors.
    gc.collect()
    sys.stdin, sys.stdout, sys.stderr = _State.streams
    if not _State.settings:
        _State.settings = (torch.get_num_threads(), torch.initial_seed())
    threads, seed = _State.settings
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_printoptions(profile="default")


async def run(source: str) -> None:
    """Runs the editor's program in a fresh namespace and posts how it ended."""
    _refresh()
    lines = source.splitlines(keepends=True)
    linecache.cache[FILENAME] = (len(source), None, lines, FILENAME)
    _State.stopping = False
    _State.start = _State.last_turn = 0.0
    _State.pending.clear()
    try:
        await _execute(source)
    except Stopped:
        ending = ("finished", "stopped")
    except BaseException as error:
        ending = ("error", *describe(error))
    else:
        ending = ("finished", "trained")
    _flush()
    _State.post(*ending, can_predict())


async def _execute(source: str) -> None:
    try:
        await eval_code_async(source, _State.namespace, filename=FILENAME)
    finally:
        _restore_names()


def can_predict() -> bool:
    """Whether the program has got far enough for its ``predict`` to be called."""
    return callable(_State.namespace.get("predict")) and "model" in _State.namespace


def predict(pixels) -> list[float] | str:
    """Ten probabilities for 784 bytes, from the program's own ``predict``; or why there are none.

    The program may be training meanwhile: its model is left in the mode that it was in.
    """
    import wasm_torch as torch

    if not can_predict():
        return "Train first; then draw."
    model = _State.namespace["model"]
    training = getattr(model, "training", None)
    image = torch.frombuffer(pixels.to_py(), dtype=torch.uint8).view(28, 28)
    try:
        answer = _State.namespace["predict"](image)
    except Exception as error:
        heading, _, line = describe(error)
        where = f" in line {line}" if line else ""
        return f"The program's predict(image) failed{where}: {heading}"
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(training)
        _flush()
    return _probabilities(answer)


def _probabilities(answer: Any) -> list[float] | str:
    """What the program's ``predict`` returned, as ten probabilities; or what is wrong with it."""
    wanted = "predict(image) must return ten probabilities, one for each digit"
    try:
        values = [float(value) for value in answer]
    except (TypeError, ValueError, RuntimeError):
        return f"{wanted}; what it returned is {_kind(answer)}."
    if len(values) != 10:
        shape = f"{_kind(answer)}" if hasattr(answer, "shape") else f"{len(values)} numbers"
        return f"{wanted}; what it returned is {shape}."
    if not all(map(math.isfinite, values)):
        return "The network answers NaN or infinity: its training has diverged."
    outside = next((value for value in values if not -1e-3 <= value <= 1.001), None)
    if outside is not None:
        return (
            f"{wanted}, from 0 to 1; one is {outside:g}. softmax makes them of a network's output."
        )
    return values


def describe(error: BaseException) -> tuple[str, str, int]:
    """The exception's type and first line, its traceback, and the program's line or 0.

    The traceback lacks the interpreter's own frames. Both texts are of bounded length.
    """
    report = traceback.TracebackException.from_exception(error)
    ours = [frame for frame in report.stack if "/_pyodide/" not in frame.filename]
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in ours if frame.filename != __file__]
    )
    lines = [frame.lineno or 0 for frame in report.stack if frame.filename == FILENAME]
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        lines.append(error.lineno or 0)
    # The lines of a program, which go before a SyntaxError, are indented.
    said = "".join(report.format_exception_only()).splitlines()
    heading = next((text for text in said if text.strip() and not text[0].isspace()), "")
    if len(heading) > HEADING:
        heading = f"{heading[:HEADING]}…"
    text = "".join(report.format())
    if len(text) > REPORT:
        half = REPORT // 2
        text = f"{text[:half]}\n… {len(text) - REPORT:,} characters …\n{text[-half:]}"
    return heading, text, lines[-1] if lines else 0


_State.names = dict(globals())
