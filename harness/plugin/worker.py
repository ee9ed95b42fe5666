"""What execnet starts for a worker: asks the parent of ``preload.py`` for a fork, and lives as long as it.

Run as a script, isolated and without site packages, so that it starts in ten milliseconds.
Arguments: the parent's address, then those of an ordinary worker's Python.
"""

import array
import json
import os
import signal
import socket
import sys


def main() -> None:
    """Hand the pipes to a fork and wait for its end, or become an ordinary worker."""
    address, arguments = sys.argv[1], sys.argv[2:]
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        pipes = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
        text = json.dumps([arguments, dict(os.environ)]).encode()  # the parent's is older
        connection.sendmsg([len(text).to_bytes(4, "big")], pipes)
        connection.sendall(text)
    except OSError:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork gets it too, and decides
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)  # so that the pipes end with the fork
    connection.recv(1)


if __name__ == "__main__":
    main()
