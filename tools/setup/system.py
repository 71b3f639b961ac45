"""Debian packages: compilers, browsers, Node's package manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from report import SetupError, run, say

#: Debian package -> a program or file that shows that it (or its like) is there.
PACKAGES = {
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdlib.h",
    "make": "make",
    "git": "git",
    "cmake": "cmake",
    "ninja-build": "ninja",
    "xz-utils": "xz",
    "clang-19": "/usr/lib/llvm-19/bin/clang",
    "lld-19": "/usr/lib/llvm-19/bin/wasm-ld",
    "llvm-19": "/usr/lib/llvm-19/bin/llvm-ar",
    "libclang-rt-19-dev": "/usr/lib/llvm-19/lib/clang/19/lib/linux",
    "chromium": "/usr/bin/chromium",
    "firefox-esr": "/usr/bin/firefox-esr",
    # Pages are tested and photographed with these.
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "npm": "npm",
}


def is_present(sign: str) -> bool:
    """Whether the program (a name) or file (an absolute path) exists."""
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign) is not None


def missing_packages() -> list[str]:
    missing = [name for name, sign in PACKAGES.items() if not is_present(sign)]
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        missing.append("python3-dev")
    try:
        import ensurepip  # noqa: F401  (Debian splits it off, with venv)
    except ImportError:
        missing.append("python3-venv")
    return missing


def may_become_root() -> bool:
    """Whether sudo works without a password."""
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def install() -> None:
    """Installs what is missing with apt; says what to do where that cannot be done."""
    missing = missing_packages()
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"This machine lacks what Debian packages as: {names}.\n"
            "The set-up installs these on Debian 12 or later only; elsewhere install them by your "
            "system's means and run it again."
        )
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    if os.geteuid() != 0:
        if not may_become_root():
            raise SetupError(
                f"System packages are missing and need root:\n  sudo apt-get install {names}"
            )
        apt = ["sudo", "-n", *apt]
    say(f"installing Debian packages: {names}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*apt, "update"], "apt-get update", env=environment)
    run(
        [*apt, "-y", "--no-install-recommends", "install", *missing],
        "apt-get install",
        env=environment,
    )
    still = missing_packages()
    if still:
        raise SetupError(f"apt-get succeeded, but these are still missing: {' '.join(still)}")
