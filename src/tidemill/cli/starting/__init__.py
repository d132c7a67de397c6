"""A new project: what a CSV file holds, what its columns are for, and the folder that is made of it."""

from tidemill.cli.starting.columns import read_sample
from tidemill.cli.starting.roles import Asked, find_roles
from tidemill.cli.starting.sample_orders import write_orders
from tidemill.cli.starting.writing import Start, describe, write_project

__all__ = ["Asked", "Start", "describe", "find_roles", "read_sample", "write_orders", "write_project"]
