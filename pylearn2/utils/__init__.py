"""Paths with environment variables, and pickle files."""
