"""Tells which ops in saved FX graphs lightning-thunder does not support, why, and where they come from."""

__version__ = "0.1.0"
