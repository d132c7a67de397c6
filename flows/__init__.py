"""Prefect flows: order, parameters, resulting state. What is done is in `tasks` and in the library."""
