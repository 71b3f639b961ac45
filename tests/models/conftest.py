"""The six small models as files, and servers that offer them beside the npm package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serve import SiteServer
from small_models import Case

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "runtime" / "dist"
PAGES = Path(__file__).resolve().parent / "pages"


@pytest.fixture(scope="session")
def package() -> Path:
    """The built npm package's scripts and engines."""
    if not (PACKAGE / "wasm-torch.min.js").is_file():
        pytest.fail("src/runtime/dist holds no package yet: run `make npm`")
    return PACKAGE


@pytest.fixture(scope="session")
def folder(exported: tuple[Path, list[Case]]) -> Path:
    """The folder with the files."""
    return exported[0]


@pytest.fixture(scope="session")
def servers(package: Path, folder: Path) -> Iterator[dict[bool, SiteServer]]:
    """The pages beside this file: by whether they are cross-origin isolated."""
    mounts = {"dist": package, "models": folder}
    started = {
        isolated: SiteServer(PAGES, isolated=isolated, mounts=mounts).start()
        for isolated in (True, False)
    }
    yield started
    for server in started.values():
        server.stop()
