"""A process that is told to end does, at whatever step the signal meets it."""

from __future__ import annotations

import subprocess
import sys

# Another process sends signals without a pause to a main thread that does nothing but wait for the event.
WAITS = """
import os, subprocess, sys, threading
from tidemill.cli.ending import end_at_signals

stopping, rounds = threading.Event(), 2_000
end_at_signals(stopping)
flood = "import os, sys\\nwhile os.getppid() == int(sys.argv[1]): os.kill(int(sys.argv[1]), 15)"
sender = subprocess.Popen([sys.executable, "-c", flood, str(os.getpid())])
for _ in range(rounds):
    while not stopping.wait(1e-6):
        pass
    stopping.clear()
sender.kill()
print("ended", rounds)
"""


def test_a_signal_at_any_step_of_waiting_ends_it() -> None:
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "ended 2000\n"
