"""Apple's Metal, which this build does not have."""


def is_available() -> bool:
    """Whether there is an MPS device: never."""
    return False


def is_built() -> bool:
    """Whether the build has MPS: never."""
    return False
