"""MotoVaultPro keeps the life of vehicles."""

from importlib.metadata import version

__version__ = version("motovaultpro")
