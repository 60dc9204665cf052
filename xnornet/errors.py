"""Exceptions that every room may raise; this module imports nothing."""

__all__ = ["ModelError", "WriteError"]


class ModelError(Exception):
    """A model cannot be used; one line says what is wrong and what to do."""


class WriteError(ModelError):
    """A file cannot be written; what was at its place before is still there."""
