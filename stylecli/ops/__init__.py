"""Operators of the networks, each with an fp64 reference, a torch path, and compiled kernels where there are any."""
