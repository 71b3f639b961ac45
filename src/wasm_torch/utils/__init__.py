"""Helpers around tensors: data loading and hooks."""

from . import data as data
from . import hooks as hooks
