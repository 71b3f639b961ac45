"""The rooms of docs/architecture.md: each module is in one, and imports what its row allows."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "wasm_torch"
#: Packages that only some rooms may import.
OUTSIDE = {
    "js": {"_host"},
    "pyodide": {"_host"},
    "pyodide_js": {"_host"},
    "wasmtime": {"_host"},
    "torch": {"export", "cli"},
}


@dataclass(frozen=True)
class Room:
    """A row of the table: its name, its modules (directly below the package), what it may know."""

    name: str
    modules: tuple[str, ...]
    allowed: frozenset[str]


def read_row(line: str) -> Room | None:
    """The room of one line, or None where that is about something else than Python."""
    cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    places = re.findall(r"`([^`]+)`", cells[0])
    if not places or not places[0].startswith("src/wasm_torch/"):
        return None
    own = places[0].removeprefix("src/wasm_torch/").removesuffix("/").removesuffix(".py")
    modules = (own,) if own else tuple(places[1:])
    name = own or cells[0].split(":")[0]
    known = re.sub(r"\(.*?\)|`", "", cells[-1]).split(",")
    return Room(name, modules, frozenset(part.strip() for part in known))


def read_rooms() -> list[Room]:
    lines = (ROOT / "docs" / "architecture.md").read_text().splitlines()
    return [room for line in lines if line.startswith("| ") and (room := read_row(line))]


ROOMS = read_rooms()
ROOM_OF = {module: room.name for room in ROOMS for module in room.modules}


def files_of(module: str) -> list[Path]:
    folder, file = PACKAGE / module, PACKAGE / f"{module}.py"
    return [file] if file.exists() else sorted(folder.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    package = ["wasm_torch", *path.relative_to(PACKAGE).parent.parts]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            if whole == "wasm_torch":
                # A module of the package, or one of its public names.
                names.update(
                    f"{whole}.{a.name}" if a.name in ROOM_OF else whole for a in node.names
                )
            else:
                names.add(whole)
    return names


def rooms_of_imports(path: Path) -> set[str]:
    rooms = set()
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "wasm_torch":
            rooms.add(ROOM_OF[rest.split(".")[0] or "__init__"])
    return rooms


def test_each_module_is_in_one_room() -> None:
    listed = [module for room in ROOMS for module in room.modules]
    assert sorted(listed) == sorted(set(listed))
    present = {p.stem for p in PACKAGE.glob("*.py")}
    present |= {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.[pc]*"))}
    present.discard("__pycache__")
    assert present == set(listed)


def test_rows_name_rooms_that_exist() -> None:
    known = {room.name for room in ROOMS} | {"all", "the kernels' ABI header"}
    assert [(r.name, unknown) for r in ROOMS if (unknown := r.allowed - known)] == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_imports_what_its_row_allows(room: Room) -> None:
    if "all" in room.allowed:
        return
    allowed = room.allowed | {room.name}
    refused = {
        str(path.relative_to(PACKAGE)): extra
        for module in room.modules
        for path in files_of(module)
        if (extra := rooms_of_imports(path) - allowed)
    }
    assert refused == {}


@pytest.mark.parametrize("package", OUTSIDE)
def test_packages_of_one_room(package: str) -> None:
    importers = {
        room.name
        for room in ROOMS
        for module in room.modules
        for path in files_of(module)
        if any(name.split(".")[0] == package for name in imported(path))
    }
    assert importers <= OUTSIDE[package]
