"""Models that become no ONNX, each in a process of its own with its own environment; nothing of theirs is opened in this one."""

from tidemill.pyfunc.bounds import Bounds
from tidemill.pyfunc.links import refuse_links
from tidemill.pyfunc.model import About, Place, PyfuncModel, open_model

__all__ = ["About", "Bounds", "Place", "PyfuncModel", "open_model", "refuse_links"]
