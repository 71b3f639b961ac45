"""The virtual environment ``.venv`` with everything of ``requirements-dev.txt``."""

from __future__ import annotations

import shutil
import sys
import venv
from pathlib import Path

from report import run, say

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from registry import ROOT, sha256

ENVIRONMENT = ROOT / ".venv"
REQUIREMENTS = (ROOT / "requirements-dev.txt", ROOT / "requirements-torch.txt")


SCRIPT = """\
#!{python}
import sys

from wasm_torch.cli import main

sys.exit(main())
"""


def install() -> None:
    """Makes the environment, or brings it to the pinned versions, and lets it see the sources."""
    _install_packages()
    if not ENVIRONMENT.is_symlink():  # which would be the environment of another source tree
        link_source(ENVIRONMENT)


def _install_packages() -> None:
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / ".complete"
    key = "\n".join(sha256(file) for file in REQUIREMENTS)
    if python.exists() and stamp.exists() and stamp.read_text() == key:
        return
    if not python.exists():
        say(f"making .venv with Python {sys.version.split()[0]}")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        venv.create(ENVIRONMENT, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for file in REQUIREMENTS:
        say(f"installing the Python packages of {file.name}")
        run([*pip, "-r", file], "pip install")
    stamp.write_text(key)


def link_source(environment: Path) -> None:
    """Makes ``import wasm_torch`` and ``wasm-torch`` in an environment those of this tree."""
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "wasm-torch-source.pth").write_text(f"{ROOT / 'src'}\n")
    script = environment / "bin" / "wasm-torch"
    script.write_text(SCRIPT.format(python=environment / "bin" / "python"))
    script.chmod(0o755)
