"""CUDA, which this build does not have."""


def is_built() -> bool:
    """Whether the build has CUDA: never."""
    return False
