"""The first program in a sandbox: waits for the Hub's word, then becomes the server.

It runs on the interpreter of the server's environment, which need not have anything of ours: only the standard library
and what the server itself needs. ``launch.py WORD SOCKET MODULE ARGUMENT…`` takes two descriptors: from WORD it reads the
environment as JSON, so that a secret stands neither on a command line nor in the environment of a process that waits;
SOCKET is the listening Unix socket, made by the Hub where no user can put another in its place.
"""

import json
import os
import runpy
import socket
import sys


def wait_for_word(descriptor):
    """Return the environment that the Hub sends; exit where the Hub is gone before it has sent all."""
    with os.fdopen(descriptor, "rb") as pipe:
        word = pipe.read()
    if not word.endswith(b"\n"):
        sys.exit("The Hub went away before this server was allowed to run.")
    return json.loads(word)


def hand_over(descriptor):
    """Let the server listen on the Hub's socket instead of making one of its own."""
    import tornado.netutil

    def given(*_arguments, **_options):
        listening = socket.socket(fileno=descriptor)
        listening.setblocking(False)
        return listening

    tornado.netutil.bind_unix_socket = given


def main():
    """Wait, then run the server's module in this process."""
    word, listening, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.set_inheritable(listening, False)
    os.environ.update(wait_for_word(word))
    sys.path.pop(0)
    hand_over(listening)
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
