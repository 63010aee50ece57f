"""Become another program that does not outlive the process that started it; run by path, imports nothing of auditor.

Arguments: the starter's process id, the signal to get when it ends, the program and its arguments. On Linux the
kernel delivers the signal (prctl(2), PR_SET_PDEATHSIG; kept across execve of an ordinary program); elsewhere
there is no such promise, and only an orderly end stops the program.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Tie this process to its starter and run the program in its place; 1 if the starter is gone already."""
    starter, signal_number, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(starter):
            return 1
    os.execv(command[0], command)  # noqa: S606 - the launcher's own commands, no shell wanted
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
