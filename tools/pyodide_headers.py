"""CPython headers for Pyodide: this Python's own, with the pyconfig.h of Pyodide's build.

The extension keeps to the limited API of Python 3.11, so one set of headers serves every Pyodide.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import TOOLCHAIN, pyodide

#: The oldest Pyodide whose settings are taken; later ones agree in all that the limited API reads.
PYODIDE_VERSION = "0.27.7"
SYSCONFIG = "_sysconfigdata__emscripten_wasm32-emscripten"
DEFINITION = re.compile(r"^(?:#define (\w+)\b.*|/\* #undef (\w+) \*/)$", re.MULTILINE)


def build_variables(version: str) -> dict[str, object]:
    """The settings that a Pyodide's own Python was built with."""
    with zipfile.ZipFile(pyodide(version) / "python_stdlib.zip") as library:
        source = library.read(f"{SYSCONFIG}.py").decode()
    namespace: dict[str, dict[str, object]] = {}
    exec(source, namespace)  # it is one assignment of literals
    return namespace["build_time_vars"]


def rewrite_configuration(text: str, variables: dict[str, object]) -> str:
    """The pyconfig.h ``text`` with each definition that ``variables`` knows set to its value."""

    def replacement(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in variables:
            return match[0]
        value = variables[name]
        if value in (0, "") and not name.startswith(("SIZEOF_", "ALIGNOF_")):
            return f"/* #undef {name} */"
        return f"#define {name} {value}"

    return DEFINITION.sub(replacement, text)


def own_configuration() -> str:
    """This Python's pyconfig.h. Debian's is a stub that includes the architecture's."""
    stub = Path(sysconfig.get_config_h_filename())
    architecture = sysconfig.get_config_var("MULTIARCH") or ""
    own = stub.parent.parent / architecture / stub.parent.name / stub.name
    return (own if own.exists() else stub).read_text()


def headers() -> Path:
    """The folder with Python.h, made on the first call."""
    source = Path(sysconfig.get_paths()["include"])
    target = TOOLCHAIN / "pyodide" / "include"
    stamp = target / ".complete"
    key = f"{source} {sys.version} {PYODIDE_VERSION}"
    if stamp.exists() and stamp.read_text() == key:
        return target
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    text = rewrite_configuration(own_configuration(), build_variables(PYODIDE_VERSION))
    (target / "pyconfig.h").write_text(text)
    stamp.write_text(key)
    return target


if __name__ == "__main__":
    print(headers())
