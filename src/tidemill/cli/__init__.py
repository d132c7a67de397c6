"""The command line."""

from tidemill.cli.main import main

__all__ = ["main"]
