"""`mts-stream`: the one entry; it stays this small so that a Ctrl-C finds a handler from the first moment on."""

import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from mts_stream.commands.root import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    # From here on everything has ended; a late Ctrl-C must not break into the interpreter's own shutdown.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
