"""What runs in a model's own environment: it loads one MLflow pyfunc model and answers tables, until its standard input ends.

```
 server ── T: a table, Arrow IPC ──► child ── A: rows, width, float64s ──► server
                                           └─ E: what went wrong, text; R: loaded
```
A frame is one letter, four bytes of length, the content. The file stands alone, as nothing of tidemill is installed beside a model:
MLflow and pyarrow come from the model's environment. Answers are plain numbers, so that the server decodes nothing that a model made.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from typing import Any

HEAD = struct.Struct("!cI")
SHAPE = struct.Struct("!II")
TABLE, ANSWER, ERROR, READY = b"T", b"A", b"E", b"R"
MOST_TEXT = 2_000  # bytes of an error


def main(channel: socket.socket, folder: str) -> None:
    """Load the model in `folder` and answer until the other side hangs up."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(folder)
        schema = model.metadata.get_input_schema()
    except Exception as error:  # whatever a foreign model raises is told, not handled
        _send(channel, ERROR, _text(error))
        return
    _send(channel, READY, b"")
    while True:
        head = _receive(channel, HEAD.size)
        if head is None:
            return
        content = _receive(channel, HEAD.unpack(head)[1])
        if content is None:
            return
        try:
            answer = numbers_of(model.predict(_fitting(_frame(content), schema)))
        except Exception as error:
            _send(channel, ERROR, _text(error))
        else:
            _send(channel, ANSWER, answer)


def numbers_of(said: Any) -> bytes:
    """What a model said, as rows, width, and float64s row by row.

    >>> SHAPE.unpack_from(numbers_of([0.5, 0.25]))
    (2, 1)
    """
    import numpy as np

    table = np.asarray(said, dtype="<f8")
    table = table.reshape(len(table), -1)
    return SHAPE.pack(*table.shape) + table.tobytes()


def _frame(content: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(content).read_pandas()


def _fitting(frame: Any, schema: Any) -> Any:
    """The table as its signature has it: MLflow takes no float for a whole number or a flag, and all that comes is floats and texts."""
    if schema is None:
        return frame
    if schema.is_tensor_spec():
        return frame.to_numpy(dtype=schema.numpy_types()[0])
    for column in schema.inputs:
        if column.name in frame and frame[column.name].dtype == "float64":
            wanted, held = column.type.to_pandas(), frame[column.name]
            if (getattr(wanted, "kind", "") in "iub" and not (held % 1).any() and held.notna().all()) or getattr(wanted, "kind", "") == "f":
                frame[column.name] = held.astype(wanted)
    return frame


def _text(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:MOST_TEXT]


def _send(channel: socket.socket, kind: bytes, content: bytes) -> None:
    channel.sendall(HEAD.pack(kind, len(content)))
    channel.sendall(content)


def _receive(channel: socket.socket, size: int) -> bytes | None:
    """Exactly so many bytes; None where the other side has hung up."""
    parts = bytearray()
    while len(parts) < size:
        part = channel.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _end_with_parent() -> None:
    """Standard input is a pipe that the server holds and never writes to: where it ends, so has the server."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
