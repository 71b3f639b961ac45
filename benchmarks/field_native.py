"""torch itself in a process of its own, so that its threads and its memory are its own."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy


def _status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


def _empty(module: Any) -> None:
    """Gives the memory of the parameters back, so that reading them is all that is measured."""
    import torch

    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            empty = torch.empty_like(parameter, device="meta")
            setattr(part, name, torch.nn.Parameter(empty, requires_grad=False))


def _serve(connection: Connection, packages: str, name: str, threads: int) -> None:
    """Answers (method, argument) with results until the connection ends."""
    sys.path.append(packages)
    warnings.simplefilter("ignore")
    import torch
    from architectures import declare_torchvision_operations
    from field_models import FILES, build

    torch.set_num_threads(threads)
    library = declare_torchvision_operations()
    module, example = build(name)
    _empty(module)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    begun = time.perf_counter()
    weights = torch.load(FILES / f"{name}.pt", weights_only=True)
    module.load_state_dict(weights, assign=True)
    load_ms = 1000 * (time.perf_counter() - begun)
    del library

    def call() -> tuple[float, numpy.ndarray]:
        started = time.perf_counter()
        output = module(*example).numpy()
        return 1000 * (time.perf_counter() - started), output

    with torch.inference_mode():
        while True:
            try:
                method, argument = connection.recv()
            except EOFError:
                return
            if method == "load":
                answer: Any = load_ms
            elif method == "warm":
                deadline = time.perf_counter() + argument
                while time.perf_counter() < deadline:
                    call()
                answer = None
            elif method == "turn":
                time.sleep(argument)
                call()
                answer = call()[0]
            elif method == "output":
                answer = call()[1]
            else:
                answer = _status("VmHWM") - before
            connection.send(answer)


class Native:
    """torch in eager mode."""

    def __init__(self, packages: Path, name: str, threads: int):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        arguments = (other, str(packages), name, threads)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def _ask(self, method: str, argument: Any = None) -> Any:
        self._connection.send((method, argument))
        try:
            return self._connection.recv()
        except EOFError:
            raise RuntimeError("torch's process ended; see its message above") from None

    def load(self) -> tuple[float, int]:
        """Milliseconds of reading the weights; nothing is downloaded."""
        return self._ask("load"), 0

    def warm(self, seconds: float) -> None:
        """Calls for some seconds."""
        self._ask("warm", seconds)

    def turn(self, pause: float) -> float:
        """Milliseconds of a call, after a pause in seconds and a call that is not timed."""
        return self._ask("turn", pause)

    def output(self) -> numpy.ndarray:
        """What a call gives, flat."""
        return self._ask("output").ravel()

    def peak(self) -> int | None:
        """The most bytes that the process took beyond those of torch and an empty model."""
        return self._ask("peak")

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join()
