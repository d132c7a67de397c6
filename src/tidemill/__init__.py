"""Tidemill: real-time machine learning that a small team can run. What a project file needs is here, listed in `__init__.pyi`.

Each name brings its module when it is first asked for: a program that only has a `Client` loads no pandas, nor does `tidemill --help`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
