"""The checks of continuous integration fail where they should."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import check_conformance
import run_tests

REPORT = {"suite": "ops", "summary": {"forward": {"units": 10, "units_passed": 9}}}


@pytest.mark.parametrize(
    ("floor", "found"),
    [
        ({"units": 10, "units_passed": 9}, []),
        ({"units": 8, "units_passed": 7}, []),
        ({"units_passed": 10}, ["ops, forward: units_passed is 9, and was 10"]),
        ({"units": 11}, ["ops, forward: units is 10, and was 11"]),
    ],
)
def test_a_report_below_the_floor_is_named(floor: dict[str, int], found: list[str]) -> None:
    assert check_conformance.shortfalls(REPORT, {"ops": {"forward": floor}}) == found


def test_a_check_that_did_not_run_is_below_the_floor() -> None:
    floor = {"ops": {"grad": {"units_passed": 1}}}
    assert check_conformance.shortfalls(REPORT, floor) == [
        "ops, grad: units_passed is 0, and was 1"
    ]


def test_a_report_that_was_not_written_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["check_conformance.py", str(tmp_path / "none.json")])
    with pytest.raises(SystemExit, match="did not finish"):
        check_conformance.main()


def test_the_committed_floor_has_both_suites() -> None:
    floor = json.loads(check_conformance.FLOOR.read_text())
    assert set(floor) == {"ops", "modules"}


@pytest.mark.parametrize(
    ("program", "counts"),
    [
        ("print('3 passed, 0 failed')", (3, 0)),
        ("print('3 passed, 1 failed'); exit(1)", (3, 1)),
        ("print('0 passed, 0 failed')", (0, 1)),
        ("pass", (0, 1)),
        ("exit(1)", (0, 1)),
    ],
)
def test_a_stage_without_a_passing_test_fails(program: str, counts: tuple[int, int]) -> None:
    command = [sys.executable, "-c", program]
    stage = run_tests.Stage("a stage", command, run_tests.count_closing_line, "stage")
    result = run_tests.run(stage)
    assert (result.passed, result.failed) == counts
