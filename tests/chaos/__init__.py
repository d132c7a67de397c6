"""Faults at random while events come in, and what is left in the end beside a run that nobody disturbed: `make chaos`."""
