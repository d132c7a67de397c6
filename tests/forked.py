"""What a forked child does: its work, and then it ends at once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import NoReturn


def end_after(work: Callable[..., object], *arguments: object) -> NoReturn:
    """Do it, and end with code 0, or with 1 when it raises.

    Never by the interpreter's own end: libraries wait there for threads that a forked child does not have (onnxruntime does for ever).
    """
    code = 1
    try:
        work(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
