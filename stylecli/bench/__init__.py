"""Measurements of this machine and of the code on it."""
