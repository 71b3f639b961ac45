"""Emscripten in ``.toolchain/emscripten``: a suitable one on PATH, else Debian 13's packages.

Debian 12's own is too old, and Debian 13's packages need a newer C library than Debian 12 has. So
they are fetched with a private apt configuration and unpacked into a folder, with the C library
that binaryen's programs want, and never installed. clang, lld and LLVM's tools are the system's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from report import SetupError, run, say

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from registry import TOOLCHAIN, sha256

PREFIX = TOOLCHAIN / "emscripten"
MINIMUM = (3, 1, 58)
LLVM = Path("/usr/lib/llvm-19/bin")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RELEASE = "trixie"
#: Package -> SHA-256 of the file. Those of the C library change with Debian's security updates and
#: differ between architectures: apt's signed index vouches for them.
PACKAGES = {
    "emscripten=3.1.69+dfsg-3": "d2ac788b952c56ab6736b4db2ac0825aa63cfb4c08b8abaefe19e324779d1b2d",
    "node-acorn": "5c6814cf6536892b3a93cc72a0a3792beb0d3f6be3d69f499ca7d764583479a9",
    "binaryen=120-4": {"amd64": "47be56009e56170f4338a0154fbff2028bd607bc3c8b6a5414658a985bef6470"},
    "libc6": {},
    "libgcc-s1": {},
    "libstdc++6": {},
}
#: Parts of the packages that no build here uses: half of their size.
UNUSED = ("*/doc/*", "*/test/*", "*/lto/*", "*/lto-pic/*", "*asan*.a", "*-ww*.a")
TOOLS = [
    "emcc",
    "em++",
    "em-config",
    "emar",
    "emranlib",
    "emnm",
    "emstrip",
    "embuilder",
    "emcmake",
    "emmake",
    "emconfigure",
]


def version_of(emcc: str) -> tuple[int, ...]:
    """The version that ``emcc --version`` states; () where it states none."""
    result = subprocess.run([emcc, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", result.stdout.partition("\n")[0])
    return tuple(int(part) for part in found.groups()) if found else ()


def install() -> None:
    """Makes ``.toolchain/emscripten/bin`` once; an interrupted call is simply repeated."""
    stamp = PREFIX / ".complete"
    elsewhere = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != PREFIX / "bin"
    )
    system = shutil.which("emcc", path=elsewhere)
    suitable = system is not None and version_of(system) >= MINIMUM
    key = f"{system} {version_of(system)}" if suitable else repr((PACKAGES, UNUSED))
    if stamp.exists() and stamp.read_text() == key:
        return
    shutil.rmtree(PREFIX, ignore_errors=True)
    (PREFIX / "bin").mkdir(parents=True)
    if suitable:
        say(f"using the emscripten on PATH ({system})")
        for tool in (*TOOLS, "wasm-opt"):
            found = shutil.which(tool, path=elsewhere)
            if found:
                write_program(PREFIX / "bin" / tool, f'exec "{found}" "$@"')
    else:
        install_debian()
    if version_of(str(PREFIX / "bin" / "emcc")) < MINIMUM:
        raise SetupError(f"{PREFIX}/bin/emcc does not run")
    stamp.write_text(key)


def install_debian() -> None:
    """Fetches, checks and unpacks the packages, and writes programs that find their parts."""
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise SetupError(
            "emcc 3.1.58 or later is not on PATH, and without apt and Debian's archive keyring the "
            "set-up cannot fetch it: install Emscripten by your system's means."
        )
    say("fetching Emscripten 3.1.69 from Debian's packages (250 MB)")
    downloads = PREFIX / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    files = download(downloads)
    say("unpacking Emscripten")
    root = PREFIX / "root"
    root.mkdir()
    for file in files:
        unpack(file, root)
    shutil.rmtree(downloads)
    write_programs(root)


def debian_mirror() -> str:
    """The archive that this machine's own apt uses."""
    listing = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(CODENAME)|$(REPO_URI)",
            "Created-By: Packages",
        ],
        "reading apt's sources",
    )
    for line in listing.splitlines():
        origin, codename, uri = line.split("|")
        if origin == "Debian" and not codename.endswith(("-security", "-updates", "-backports")):
            return uri
    raise SetupError("apt has no Debian archive among its sources to take Emscripten from")


def download(folder: Path) -> list[Path]:
    """The packages' files, through an apt that knows nothing but one release."""
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] {debian_mirror()} {RELEASE} main\n"
    )
    (state / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{state}/sources.list";\n'
        f'Dir::Etc::sourceparts "{state}/parts";\n'
        f'Dir::Etc::preferencesparts "{state}/parts";\n'
        f'Dir::Etc::preferences "{state}/none";\n'
        f'Dir::State "{state}";\nDir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}/cache";\n'
        'Acquire::Languages "none";\nAPT::Sandbox::User "";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(state / "apt.conf")}
    run(["apt-get", "-qq", "update"], "apt-get update", env=environment)
    run(["apt-get", "-qq", "download", *PACKAGES], "apt-get download", env=environment, cwd=folder)
    files = []
    for package, pinned in PACKAGES.items():
        name = package.partition("=")[0]
        (file,) = folder.glob(f"{name}_*.deb")
        architecture = file.stem.rpartition("_")[2]
        expected = pinned if isinstance(pinned, str) else pinned.get(architecture)
        if expected is not None and sha256(file) != expected:
            raise SetupError(f"{file.name} has SHA-256 {sha256(file)}; {expected} is pinned")
        files.append(file)
    return files


def unpack(package: Path, root: Path) -> None:
    excluded = [f"--exclude={pattern}" for pattern in UNUSED]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as reader:
        run(["tar", "-x", "-C", root, *excluded], f"unpacking {package.name}", stdin=reader.stdout)
    if reader.returncode:
        raise SetupError(f"unpacking {package.name} failed")


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def write_programs(root: Path) -> None:
    """Emscripten's and binaryen's programs, and the configuration that joins them."""
    emscripten = root / "usr/share/emscripten"
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    loader = next(libraries.glob("ld-linux-*.so.*"))
    binaryen = PREFIX / "binaryen"
    for program in sorted((root / "usr/bin").iterdir()):
        if program.name.startswith("wasm") and not program.is_symlink():
            start = f'exec "{loader}" --library-path "{libraries}" "{program}" "$@"'
            write_program(binaryen / "bin" / program.name, start)
    for tool in TOOLS:
        write_program(PREFIX / "bin" / tool, f'exec "{emscripten / tool}" "$@"')
    (PREFIX / "bin" / "wasm-opt").symlink_to(binaryen / "bin" / "wasm-opt")
    modules = emscripten / "node_modules"
    modules.unlink(missing_ok=True)
    modules.mkdir()
    (modules / "acorn").symlink_to(root / "usr/share/nodejs/acorn")
    node = TOOLCHAIN / "node/bin/node"
    (emscripten / ".emscripten").unlink(missing_ok=True)
    (emscripten / ".emscripten").write_text(
        f"LLVM_ROOT = '{LLVM}'\nBINARYEN_ROOT = '{binaryen}'\n"
        f"NODE_JS = '{node if node.exists() else shutil.which('node')}'\n"
        f"CACHE = '{emscripten / 'cache'}'\nFROZEN_CACHE = True\n"
    )
