"""``xnornet train`` that can send itself a signal after one of its steps, or have no memory for images.

Run by ``test_hosts.py``: ``host_process.py SIGNAL STEP SECONDS_TO_JOIN MEMORY [options]``.
"""

import os
import signal
import sys

from xnornet import hosts
from xnornet.cli import main
from xnornet.data import stored
from xnornet.training import loop
from xnornet.training.steps import Steps


def send_after(steps_before, number):
    """Send this process a signal after so many steps."""
    steps, done = Steps.steps, []

    def steps_and_signal(self, *inputs):
        found = steps(self, *inputs)
        done.append(found)
        if len(done) == steps_before:
            os.kill(os.getpid(), number)
        return found

    Steps.steps = steps_and_signal


if __name__ == "__main__":
    name, step, seconds, memory, *options = sys.argv[1:]
    send_after(int(step), signal.Signals[name])
    hosts.SECONDS_TO_JOIN = int(seconds)
    hosts.SECONDS_TO_END = 2
    loop.SECONDS_WORTH_A_CHECKPOINT = 0
    if memory == "none":
        stored.available_memory = lambda: 0
    sys.exit(main(["train", *options]))
