"""torch's switch for deterministic algorithms. All of this engine's are, so it is only kept."""

from __future__ import annotations

_state = {"mode": False, "warn_only": False}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Notes the wish; nothing changes. Raises TypeError where an argument is no bool."""
    for position, (name, value) in enumerate((("mode", mode), ("warn_only", warn_only))):
        if not isinstance(value, bool):
            place = "" if position else " (position 1)"
            raise TypeError(
                f"_set_deterministic_algorithms(): argument '{name}'{place} must be bool, not "
                f"{type(value).__name__}"
            )
    _state.update(mode=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What was asked for."""
    return _state["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What was asked for."""
    return _state["warn_only"]
