"""Every test of the project, stage by stage; the last line counts them all.

python tools/run_tests.py [stage ...]      (default: all, in this order)
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT
from wasm_build import environment

REPORTS = ROOT / "build" / "test-reports"


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


@dataclass
class Stage:
    """A command, and how to read its counts from its output (or from the reports it wrote)."""

    title: str
    command: list[str]
    count: Callable[[str, str], Counts]
    name: str
    folder: Path = field(default=ROOT)


def count_closing_line(output: str, name: str) -> Counts:
    """Of the kernels' test program: 'N passed, N failed'."""
    found = re.findall(r"^(\d+) passed, (\d+) failed", output, re.MULTILINE)
    return Counts(*map(int, found[-1])) if found else Counts()


def count_node_tests(output: str, name: str) -> Counts:
    """Of `node --test`: lines such as '# pass 12' or 'ℹ pass 12'."""

    def of(word: str) -> int:
        found = re.findall(rf"^\S+ {word} (\d+)\s*$", output, re.MULTILINE)
        return int(found[-1]) if found else 0

    return Counts(of("pass"), of("fail"), of("skipped"))


def count_junit(output: str, name: str) -> Counts:
    """Of pytest's XML report."""
    report = REPORTS / f"{name}.xml"
    if not report.exists():
        return Counts()
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, failures, errors, skipped = (
        int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return Counts(total - failed - skipped, failed, skipped)


def kernel_stage(variant: str, title: str, name_filter: str = "") -> Stage:
    command = [sys.executable, "kernels/tests/run.py", variant]
    if name_filter:
        command += ["--filter", name_filter]
    return Stage(title, command, count_closing_line, f"kernels-{variant}")


def pytest_stage(name: str, title: str, *arguments: str) -> Stage:
    command = [sys.executable, "-m", "pytest", "-q", f"tests/{name}", *arguments]
    command += [f"--junitxml={REPORTS / name}.xml", "-o", f"cache_dir=build/pytest/{name}"]
    return Stage(title, command, count_junit, name)


STAGES = (
    kernel_stage("address", "kernels, natively, under ASan and UBSan"),
    kernel_stage("thread", "the thread pool under TSan", "pool"),
    kernel_stage("reference", "kernels, natively, scalar references"),
    kernel_stage("scalar", "kernels in Node, scalar engine"),
    kernel_stage("simd", "kernels in Node, simd engine"),
    kernel_stage("relaxed", "kernels in Node, relaxed engine"),
    Stage(
        "the host's TypeScript in Node",
        ["npm", "run", "--silent", "test"],
        count_node_tests,
        "runtime",
        ROOT / "src" / "runtime",
    ),
    pytest_stage("packaging", "recipes, wheel and tools"),
    pytest_stage("python", "Python on the native engine, against torch", "-n", "2"),
    pytest_stage("models", "model files on the desktop, in Node, Chromium and Firefox"),
    pytest_stage("pyodide", "the wheel in Pyodide 0.27, 0.29 and 314"),
    pytest_stage("browser", "pages in Chromium and Firefox"),
)


def run(stage: Stage) -> Counts:
    """Runs a stage, echoing its output. A failing command without a failed test counts as one, and
    so does a stage in which nothing passed.
    """
    print(f"\n=== {stage.name}: {stage.title}", flush=True)
    lines = []
    with subprocess.Popen(
        stage.command,
        cwd=stage.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            lines.append(line)
            if not re.match(r"\[\d+/\d+\] (Building|Linking|Re-checking)", line):
                print(line, end="", flush=True)
    counts = stage.count("".join(lines), stage.name)
    if process.returncode and not counts.failed:
        print(f"the command ended with status {process.returncode}", flush=True)
        counts.failed = 1
    if not counts.passed and not counts.failed:
        print("no test passed", flush=True)
        counts.failed = 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", help=f"of {', '.join(s.name for s in STAGES)}")
    chosen = parser.parse_args().stages
    unknown = set(chosen) - {stage.name for stage in STAGES}
    if unknown:
        parser.error(f"unknown stages: {', '.join(sorted(unknown))}")
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))
    started = time.monotonic()
    total = Counts()
    table = []
    for stage in STAGES:
        if chosen and stage.name not in chosen:
            continue
        begun = time.monotonic()
        counts = run(stage)
        total += counts
        table.append(f"{stage.name:20}{counts!s:44}{time.monotonic() - begun:6.0f} s")
    print("\n" + "\n".join(table))
    print(f"{'all':64}{time.monotonic() - started:6.0f} s")
    print(total)
    sys.exit(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    main()
