"""Benchmarks: each prints its figure, the machine, and the goal; each fails when the copy is not right."""
