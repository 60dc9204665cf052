"""Paths with variables of the environment, and files of pickles."""
