"""The rows of the field benchmark: statistics, the file and the table. Nothing here needs torch."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MODELS = ("resnet50", "bert", "yolov8", "whisper", "mobilenet_v2")
BACKENDS = ("native", "onnx", "litert", "wasm")
BROWSERS = ("chromium", "firefox")
DTYPES = ("float32", "int8")
OURS = "wasm"
#: Our runtime with the model that computes in 8 bits, a column of its own.
OURS_INT8 = "wasm-int8"
#: The largest error, in parts of the output's largest element, with which a row counts. What 8 bits
#: do to a network of random weights says little of a trained one: a row tells its error.
TOLERANCE = {"float32": 1e-4, "int8": 0.5}

Row = dict[str, Any]


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which a part of the values lies, between neighbours by proportion."""
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    below, above = ordered[math.floor(at)], ordered[math.ceil(at)]
    return below + (above - below) * (at - math.floor(at))


def make_row(group: Row, backend: str, measured: dict[str, Any]) -> Row:
    """One row. ``group`` has model, browser, threads and dtype; ``measured`` either an ``error``,
    or times, loads (ms), download_bytes, peak_bytes and rel_err.
    """
    row: Row = {"model": group["model"], "backend": backend}
    row |= {key: group[key] for key in ("browser", "threads", "dtype")}
    names = ("median_ms", "p10_ms", "p90_ms", "min_ms", "load_ms")
    if "error" in measured:
        absent = (*names, "download_bytes", "peak_bytes", "rel_err")
        return row | dict.fromkeys(absent) | {"ok": False, "error": measured["error"]}
    times = measured["times"]
    figures = (
        statistics.median(times),
        percentile(times, 0.1),
        percentile(times, 0.9),
        min(times),
        statistics.median(measured["loads"]),
    )
    row |= {name: round(value, 3) for name, value in zip(names, figures, strict=True)}
    row |= {key: measured[key] for key in ("download_bytes", "peak_bytes", "rel_err")}
    return row | {"ok": measured["rel_err"] <= TOLERANCE[group["dtype"]]}


def write(path: Path, header: dict[str, Any], rows: Sequence[Row]) -> None:
    """Writes the header and the rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**header, "rows": list(rows)}, indent=2) + "\n")


def geometric_mean(values: Iterable[float]) -> float | None:
    """None where there are no values."""
    logarithms = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else None


def groups(rows: Sequence[Row]) -> list[dict[str, Row]]:
    """The rows by column, for each browser, number of threads and model."""
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = (row["browser"], row["threads"], row["model"])
        column = OURS_INT8 if row["dtype"] == "int8" else row["backend"]
        found.setdefault(key, {})[column] = row
    return list(found.values())


def ratio(group: dict[str, Row], backend: str) -> float | None:
    """Our time in parts of a backend's, where both outputs are right."""
    ours, theirs = group.get(OURS), group.get(backend)
    if not (ours and theirs and ours["ok"] and theirs["ok"]):
        return None
    return ours["median_ms"] / theirs["median_ms"]


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row["median_ms"] is None:
        return "failed"
    figures = f"{row['median_ms']:.1f} ({row['p10_ms']:.0f}..{row['p90_ms']:.0f})"
    return figures if row["ok"] else f"{figures} WRONG"


def _bytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.0f}"


def table(rows: Sequence[Row], backends: Sequence[str]) -> str:
    """Milliseconds for people: median (p10..p90), ratios of ours to each, and geometric means."""
    peers = [name for name in backends if name != OURS] if OURS in backends else []
    lines = []
    head = f"{'model':13}{'browser':10}{'thr':>3}  "
    head += "".join(f"{name:>22}" for name in backends)
    head += "".join(f"{'/ ' + name:>10}" for name in peers)
    lines.append(head)
    by_setting: dict[tuple[Any, ...], list[dict[str, Row]]] = {}
    for group in groups(rows):
        any_row = next(iter(group.values()))
        setting = (any_row["browser"], any_row["threads"])
        by_setting.setdefault(setting, []).append(group)
        line = f"{any_row['model']:13}{any_row['browser'] or '-':10}{any_row['threads']:3}  "
        line += "".join(f"{_cell(group.get(name)):>22}" for name in backends)
        ratios = [ratio(group, name) for name in peers]
        lines.append(line + "".join(f"{'-' if r is None else f'{r:.2f}':>10}" for r in ratios))
    for (browser, threads), setting_groups in by_setting.items():
        if not peers or len(setting_groups) < 2:
            continue
        line = f"{'geo. mean':13}{browser or '-':10}{threads:3}  " + " " * 22 * len(backends)
        for name in peers:
            known = [r for group in setting_groups if (r := ratio(group, name)) is not None]
            mean = geometric_mean(known)
            line += f"{'-' if mean is None else f'{mean:.2f}':>10}"
        lines.append(line)
    lines += ["", "load ms / MB downloaded / MB of memory at its peak / error"]
    for group in groups(rows):
        any_row = next(iter(group.values()))
        lines.append(f"{any_row['model']:13}{any_row['browser'] or '-':10}{any_row['threads']:3}")
        for name in backends:
            if name not in group:
                continue
            row = group[name]
            if "error" in row:
                lines.append(f"    {name:8} {row['error'].splitlines()[0]}")
                continue
            sizes = " / ".join(_bytes(row[key]) for key in ("download_bytes", "peak_bytes"))
            lines.append(f"    {name:8} {row['load_ms']:.0f} / {sizes} / {row['rel_err']:.1e}")
    return "\n".join(lines)
