"""Puts the tools and the benchmarks on the path; tests import them as they import each other."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tools/setup", "tools", "benchmarks")]
