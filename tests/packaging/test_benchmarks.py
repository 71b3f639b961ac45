"""The benchmark of the field: its options, its rows, its table and how it copes with failures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import field_rows
import numpy
import pytest
import run_benchmarks

GROUP = {"model": "bert", "browser": "firefox", "threads": 2, "dtype": "float32"}
GOOD = {
    "times": [4.0, 1.0, 2.0, 3.0, 5.0],
    "loads": [30.0, 10.0, 20.0],
    "download_bytes": 1000,
    "peak_bytes": 2000,
    "rel_err": 1e-6,
}


def test_options() -> None:
    line = "--models bert yolov8 --backends wasm native --iterations 3 --threads 2 --profile"
    line += " --browsers firefox --dtype float32 --json x.json"
    options = run_benchmarks.parse(line.split())
    assert options.models == ["bert", "yolov8"]
    assert options.backends == ["native", "wasm"], "in the order of the table"
    assert (options.iterations, options.threads) == (3, [2])
    assert (options.browsers, options.json) == (["firefox"], Path("x.json"))
    assert options.profile
    assert run_benchmarks.parse([]).models == list(field_rows.MODELS)


@pytest.mark.parametrize(
    "wrong", ["--models resnet51", "--iterations 0", "--threads 0", "--loads 0"]
)
def test_wrong_options_are_refused(wrong: str) -> None:
    with pytest.raises(SystemExit):
        run_benchmarks.parse(wrong.split())


def test_a_row() -> None:
    row = field_rows.make_row(GROUP, "wasm", GOOD)
    assert row == GROUP | {
        "backend": "wasm",
        "median_ms": 3.0,
        "p10_ms": 1.4,
        "p90_ms": 4.6,
        "min_ms": 1.0,
        "load_ms": 20.0,
        "download_bytes": 1000,
        "peak_bytes": 2000,
        "rel_err": 1e-6,
        "ok": True,
    }
    assert not field_rows.make_row(GROUP, "wasm", GOOD | {"rel_err": 2e-4})["ok"]
    failed = field_rows.make_row(GROUP, "onnx", {"error": "no file"})
    assert failed.keys() == row.keys() | {"error"}
    assert failed["median_ms"] is None and not failed["ok"]


def test_ratios_leave_out_what_is_wrong_or_failed(tmp_path: Path) -> None:
    rows = [
        field_rows.make_row(GROUP, "native", GOOD | {"times": [1.5]}),
        field_rows.make_row(GROUP, "onnx", GOOD | {"rel_err": 0.5}),
        field_rows.make_row(GROUP, "litert", {"error": "not installed"}),
        field_rows.make_row(GROUP, "wasm", GOOD),
        field_rows.make_row(GROUP | {"model": "resnet50"}, "native", GOOD | {"times": [24.0]}),
        field_rows.make_row(GROUP | {"model": "resnet50"}, "wasm", GOOD),
    ]
    bert, resnet = field_rows.groups(rows)
    assert field_rows.ratio(bert, "native") == 2.0
    assert field_rows.ratio(bert, "onnx") is None
    assert field_rows.ratio(bert, "litert") is None
    assert field_rows.ratio(resnet, "native") == 0.125
    table = field_rows.table(rows, field_rows.BACKENDS)
    assert "WRONG" in table and "failed" in table and "not installed" in table
    mean = next(line for line in table.splitlines() if line.startswith("geo. mean"))
    assert mean.split()[-3:] == ["0.50", "-", "-"]
    field_rows.write(tmp_path / "new" / "field.json", {"machine": {}}, rows)
    assert json.loads((tmp_path / "new" / "field.json").read_text())["rows"] == rows


class Fake:
    """A contestant that notes what is asked of it."""

    def __init__(self, name: str, log: list[str], fails_at: str = ""):
        self.name, self.log, self.fails_at = name, log, fails_at

    def _note(self, what: str) -> None:
        self.log.append(f"{self.name} {what}")
        if what == self.fails_at:
            raise RuntimeError("out of memory")

    def load(self) -> tuple[float, int]:
        self._note("load")
        return 5.0, 7

    def warm(self, seconds: float) -> None:
        self._note("warm")

    def turn(self, pause: float) -> float:
        self._note("turn")
        return 1.0

    def output(self) -> numpy.ndarray:
        return numpy.array([1.0, 2.0], numpy.float32)

    def peak(self) -> int | None:
        return 9

    def close(self) -> None:
        self._note("close")


def contest(fails_at: str = "") -> tuple[dict[str, dict[str, Any]], list[str]]:
    log: list[str] = []
    makers = {"a": lambda: Fake("a", log), "b": lambda: Fake("b", log, fails_at)}
    options = argparse.Namespace(iterations=2, loads=2, warm=0, pause=0)
    return run_benchmarks.contest(makers, numpy.array([[1.0, 4.0]]), options), log


def test_backends_take_turns() -> None:
    measured, log = contest()
    turns = [entry for entry in log if entry.endswith("turn")]
    assert turns == ["a turn", "b turn"] * 2
    assert log.count("a load") == log.count("a close") == 2, "each load is a page of its own"
    assert measured["b"] == {
        "loads": [5.0, 5.0],
        "times": [1.0, 1.0],
        "download_bytes": 7,
        "peak_bytes": 9,
        "rel_err": 0.5,
    }


@pytest.mark.parametrize("fails_at", ["load", "warm", "turn"])
def test_a_backend_that_fails_leaves_the_others(fails_at: str) -> None:
    measured, log = contest(fails_at)
    assert measured["b"]["error"] == "out of memory"
    assert log.count(f"b {fails_at}") == 1
    assert measured["a"]["times"] == [1.0, 1.0]
    assert log.count("b close") == log.count("b load")


def test_outputs_of_another_size_or_without_numbers_are_wrong() -> None:
    error = run_benchmarks.relative_error
    assert error(numpy.ones(3), numpy.ones(4)) == float("inf")
    assert error(numpy.array([1.0, numpy.nan]), numpy.ones(2)) == float("inf")
