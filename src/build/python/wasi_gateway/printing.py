"""Standard output and standard error without a stream that stays open: what is open when an instance has answered keeps
it from being put back, and from being a snapshot."""

import io
import os
import sys

from componentize_py_types import Err
from wit_world.imports import stderr, stdout

# The host takes so much at a time (wasi:io/streams, blocking-write-and-flush).
MOST = 4096


class Output(io.RawIOBase):
    # The host is not there while the component is built.
    serving = False

    def __init__(self, number, stream, name):
        self._number, self._stream, self.name = number, stream, name
        self.mode = "wb"

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def write(self, data):
        if not Output.serving:
            return os.write(self._number, data)
        data = bytes(data)
        with self._stream() as stream:
            for start in range(0, len(data), MOST):
                try:
                    stream.blocking_write_and_flush(data[start : start + MOST])
                except Err as error:
                    raise OSError(f"cannot write to {self.name}") from error
        return len(data)


def install():
    def text(*output, errors):
        return io.TextIOWrapper(io.BufferedWriter(Output(*output)), "utf-8", errors, line_buffering=True)

    sys.stdout = sys.__stdout__ = text(1, stdout.get_stdout, "<stdout>", errors="surrogateescape")
    sys.stderr = sys.__stderr__ = text(2, stderr.get_stderr, "<stderr>", errors="backslashreplace")


def serve():
    sys.stdout.flush()
    sys.stderr.flush()
    Output.serving = True
