"""cuDNN, which this build does not have. Its flags may be set, and nothing reads them."""

enabled = True
benchmark = False
deterministic = False


def is_available() -> bool:
    """Whether there is cuDNN: never."""
    return False


def version() -> None:
    """The version of cuDNN: None."""
