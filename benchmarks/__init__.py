"""Benchmarks, run by name: `make bench NAME=flights`."""
