"""A release of the JavaScript runtime: its files, and the index for `wasm-torch download-runtime`.

Copies what `make npm` built into one folder without subfolders, as release pages keep their files,
and writes runtime-index.json beside them. `--previous` names the index of earlier releases, which
stay in the new one; `--prefix` is what stands before the names of the files in their addresses,
such as ../../download/v0.1.0/ from the newest release's page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT

RUNTIME = ROOT / "src" / "runtime"
NAME = "runtime-index.json"


def write_release(
    dist: Path, version: str, output: Path, prefix: str = "", previous: dict[str, Any] | None = None
) -> Path:
    """Writes the files and the index into ``output``; returns the index's path."""
    found = sorted(path for path in dist.rglob("*") if path.is_file())
    if not any(path.suffix == ".wasm" for path in found):
        sys.exit(f"{dist} holds no runtime: run `make npm`")
    output.mkdir(parents=True, exist_ok=True)
    files = []
    for path in found:
        relative = path.relative_to(dist).as_posix()
        name, data = relative.replace("/", "."), path.read_bytes()
        shutil.copyfile(path, output / name)
        entry = {"path": relative, "url": prefix + name, "bytes": len(data)}
        files.append(entry | {"sha256": hashlib.sha256(data).hexdigest()})
    if len({entry["url"] for entry in files}) < len(files):
        sys.exit("two files of the runtime would have one name")
    versions = {**(previous or {}).get("versions", {}), version: {"files": files}}
    index = {"format": 1, "latest": version, "versions": versions}
    target = output / NAME
    target.write_text(json.dumps(index, indent=1) + "\n")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", type=Path, default=RUNTIME / "dist", help="what `make npm` built")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--prefix", default="", help="before the files' names in their addresses")
    parser.add_argument("--previous", type=Path, help="the index of the releases so far")
    options = parser.parse_args()
    version = json.loads((RUNTIME / "package.json").read_text())["version"]
    previous = json.loads(options.previous.read_text()) if options.previous else None
    index = write_release(options.dist, version, options.output, options.prefix, previous)
    count = len(json.loads(index.read_text())["versions"][version]["files"])
    print(f"{index}: version {version}, {count} files")


if __name__ == "__main__":
    main()
