"""Softmax, one-hot encoding, cross-entropy and their gradients as an HTTP service."""

from importlib.metadata import version

__version__ = version("gradient-service")
