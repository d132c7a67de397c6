"""Prefect tasks: retries, caching, one call into the library."""
