"""Puts the tools on the path, so that tests import them as they import each other."""

import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS / "setup"), str(TOOLS)]
