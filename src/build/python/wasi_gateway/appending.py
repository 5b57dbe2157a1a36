"""Files that are opened to be read and appended to (`a+`). The C library for WASI takes such a file's position to its end each
time that it is asked for or moved, and nothing of the file would be read. So the file is opened twice: to be read, and to be
written at its end, wherever that is by then."""

import io
import os

_open, _write, _close = os.open, os.write, os.close


def is_meant(mode):
    return isinstance(mode, str) and {"a", "+"} <= set(mode) <= set("abt+")


class Appending(io.FileIO):
    _tail = None

    def __init__(self, path):
        # This one makes the file where it is not there.
        tail = _open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            super().__init__(path, "r+")
            self.seek(0, os.SEEK_END)
        except BaseException:
            _close(tail)
            raise
        self._tail = tail

    @property
    def mode(self):
        return "ab+"

    def write(self, data):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        length = _write(self._tail, data)
        self.seek(0, os.SEEK_END)
        return length

    def close(self):
        tail, self._tail = self._tail, None
        try:
            super().close()
        finally:
            if tail is not None:
                _close(tail)
