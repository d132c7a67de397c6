"""Models that become no ONNX, each in a process of its own with its own environment; nothing of theirs is opened in this one."""

from tidemill.pyfunc.process import Bounds, ModelProcess, as_stream

__all__ = ["Bounds", "ModelProcess", "as_stream"]
