"""The launcher that ties a child's life to its parent's: run as a script, `guard.py MODE PARENT_PID COMMAND...`.

MODE `signal` (Linux): the kernel kills the child the moment its parent dies, and this process becomes the command.
MODE `pipe` (everywhere): this process stays, runs the command below it, and ends it when standard input, a pipe
that only the parent holds, reaches its end.

It is started with `-I -S` and imports the standard library alone, so it costs some 30 ms and loads nothing of ours.
A launcher, and not `preexec_fn`, because Python code between fork and exec can deadlock in a process with threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TERMINATE_TIMEOUT_S = 10.0
COMMAND_NOT_STARTED = 127  # what a shell answers, too


def main(arguments: list[str]) -> int:
    """Run the command, tied to its parent's life, and give its exit code."""
    mode, parent_pid, command = arguments[0], int(arguments[1]), arguments[2:]
    if mode == "signal":
        _die_with(parent_pid)
        return _become(command)
    return _watch(command)


def _die_with(parent_pid: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # A parent that died before the call above sends no signal any more.
    if os.getppid() != parent_pid:
        raise SystemExit(COMMAND_NOT_STARTED)


def _become(command: list[str]) -> int:
    try:
        os.execvp(command[0], command)  # noqa: S606 (a command of the parent's)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return COMMAND_NOT_STARTED


def _watch(command: list[str]) -> int:
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        return COMMAND_NOT_STARTED

    def forward(signum: int, _: FrameType | None) -> None:
        child.send_signal(signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, forward)
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        continue
    child.terminate()
    try:
        child.wait(TERMINATE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
