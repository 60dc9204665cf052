"""Packed models for other programs."""
