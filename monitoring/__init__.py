"""Evidently reports and drift policy: a report in, a decision out. The only place that imports evidently."""
