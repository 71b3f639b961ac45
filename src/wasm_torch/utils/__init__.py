"""Helpers around tensors: data loading, hooks and exchange of memory."""

from . import data as data
from . import dlpack as dlpack
from . import hooks as hooks
