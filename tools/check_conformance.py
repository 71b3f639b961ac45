"""Compares a report of torch's operator database with the committed floor, and fails below it.

python tools/check_conformance.py REPORT.json [REPORT.json ...]

A report has, for each kind of check of its suite, how many units (operators or modules) were tried
and how many passed. Both must reach the numbers in tests/conformance-floor.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

FLOOR = Path(__file__).resolve().parent.parent / "tests" / "conformance-floor.json"


def shortfalls(report: dict[str, Any], floor: dict[str, Any]) -> list[str]:
    """What of a report lies below the floor of its suite, a sentence each."""
    suite = report["suite"]
    found = []
    for check, wanted in floor[suite].items():
        summary = report["summary"].get(check, {})
        for count, least in wanted.items():
            have = summary.get(count, 0)
            if have < least:
                found.append(f"{suite}, {check}: {count} is {have}, and was {least}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path)
    floor = json.loads(FLOOR.read_text())
    failed = []
    for path in parser.parse_args().reports:
        if path.exists():
            failed += shortfalls(json.loads(path.read_text()), floor)
        else:
            failed.append(f"{path} was not written: the run did not finish")
    if failed:
        sys.exit("\n".join(failed))
    print("conformance: not below the floor")


if __name__ == "__main__":
    main()
