"""Files that the component has itself, by numbers that no file of the host's has: what `os.open` and `os.pipe` give, and
what `os.read`, `os.write`, `select` and the like are given then."""

import errno
import io
import os
import select
import selectors
import stat

# No host gives a number as high as this.
FIRST = 1 << 24
# Each open file by its number.
opened = {}


class Numbered(io.RawIOBase):
    """What all of them have in common. Each says for itself how it is read and written (`readinto`, `write`)."""

    is_blocking = True
    name = None

    def __init__(self):
        self._number = next(number for number in range(FIRST, FIRST + len(opened) + 1) if number not in opened)
        opened[self._number] = self

    def fileno(self):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._number

    def isatty(self):
        return False

    def close(self):
        if not self.closed:
            super().close()
            opened.pop(self._number, None)

    def stat(self):
        raise NotImplementedError

    def is_ready(self, events):
        """Which of these events of `select.poll` have come."""
        return events & (select.POLLIN | select.POLLOUT)


class Borrowed(io.RawIOBase):
    """A file that stays open when this is closed, or that is known by its number only."""

    def __init__(self, file, name, closes):
        self._file, self.name, self._closes = file, name, closes
        for question in ("readable", "writable", "seekable", "fileno", "isatty", "readinto", "write", "seek", "tell", "truncate"):
            setattr(self, question, getattr(file, question))

    def close(self):
        if not self.closed:
            try:
                super().close()
            finally:
                if self._closes:
                    self._file.close()


def of(number):
    """The file with this number, or None where it is the host's."""
    if not isinstance(number, int) or number < FIRST:
        return None
    if number not in opened:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return opened[number]


def stream(raw, mode, buffering=-1, encoding=None, errors=None, newline=None):
    """What `open` gives for what is read and written by `raw`."""
    is_binary = "b" in mode
    if buffering == 0:
        if not is_binary:
            raise ValueError("can't have unbuffered text I/O")
        return raw
    size = io.DEFAULT_BUFFER_SIZE if buffering in (-1, 1) else buffering
    if "+" in mode:
        buffer = io.BufferedRandom(raw, size)
    elif set(mode) & set("wax"):
        buffer = io.BufferedWriter(raw, size)
    else:
        buffer = io.BufferedReader(raw, size)
    if is_binary:
        return buffer
    text = io.TextIOWrapper(buffer, io.text_encoding(encoding), errors, newline, buffering == 1)
    text.mode = mode
    return text


def _read(file, length):
    taken = file.read(length)
    if taken is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return taken


def _set_blocking(file, is_blocking):
    file.is_blocking = bool(is_blocking)


# What `os` does with a number, of these files.
BY_NUMBER = {
    "close": lambda file: file.close(),
    "read": _read,
    "write": lambda file, data: file.write(data),
    "lseek": lambda file, position, how: file.seek(position, how),
    "fstat": lambda file: file.stat(),
    "stat": lambda file, **_: file.stat(),
    "ftruncate": lambda file, length: file.truncate(length) and None,
    "truncate": lambda file, length: file.truncate(length) and None,
    "fsync": lambda file: None,
    "fdatasync": lambda file: None,
    "isatty": lambda file: False,
    "get_blocking": lambda file: file.is_blocking,
    "set_blocking": _set_blocking,
    "get_inheritable": lambda file: False,
    "set_inheritable": lambda file, is_inheritable: None,
}


def install():
    for name, answer in BY_NUMBER.items():
        if hasattr(os, name):
            setattr(os, name, _by_number(getattr(os, name), answer))
    os.pipe = pipe
    select.poll = selectors.PollSelector._selector_cls = Poll
    select.select = _select(select.select)


def _by_number(real, answer):
    def function(number, *args, **kwargs):
        file = of(number)
        return real(number, *args, **kwargs) if file is None else answer(file, *args, **kwargs)

    function.__name__ = real.__name__
    return function


class Pipe:
    """What is between both ends of a pipe."""

    # As Linux has it (pipe(7)).
    MOST = 65536
    WAITS = "nobody else can read or write the pipe meanwhile, as WASI has no threads"

    def __init__(self):
        self.held = bytearray()
        self.reader, self.writer = Reader(self), Writer(self)


class End(Numbered):
    def __init__(self, pipe):
        super().__init__()
        self._pipe = pipe
        self.name = self._number

    def stat(self):
        return os.stat_result((stat.S_IFIFO | 0o600, self._number, 2, 1, 0, 0, 0, 0, 0, 0))


class Reader(End):
    def readable(self):
        return True

    def readinto(self, place):
        held = self._pipe.held
        if not held and not self._pipe.writer.closed:
            if self.is_blocking:
                raise OSError(errno.EDEADLK, Pipe.WAITS)
            return None
        taken = bytes(held[: len(place)])
        place[: len(taken)] = taken
        del held[: len(taken)]
        return len(taken)

    def is_ready(self, events):
        is_over = self._pipe.writer.closed
        return (events & select.POLLIN if self._pipe.held or is_over else 0) | (select.POLLHUP if is_over else 0)


class Writer(End):
    def writable(self):
        return True

    def write(self, data):
        if self._pipe.reader.closed:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        data = bytes(data)
        room = Pipe.MOST - len(self._pipe.held)
        if len(data) > room and self.is_blocking:
            raise OSError(errno.EDEADLK, Pipe.WAITS)
        if data and not room:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self._pipe.held += data[:room]
        return min(len(data), room)

    def is_ready(self, events):
        if self._pipe.reader.closed:
            return (events & select.POLLOUT) | select.POLLERR
        return events & select.POLLOUT if len(self._pipe.held) < Pipe.MOST else 0


def pipe():
    between = Pipe()
    return between.reader.fileno(), between.writer.fileno()


RealPoll = select.poll
# How long one waits at a time for the host's files, in milliseconds, where nothing of the component's own can come.
FOR_EVER = 3_600_000


class Poll:
    """`select.poll`, for these files too. Nothing comes to them while one waits, as nobody else runs."""

    def __init__(self):
        self._real, self._own = RealPoll(), {}
        self._others = set()

    def register(self, file, events=select.POLLIN | select.POLLPRI | select.POLLOUT):
        number = file if isinstance(file, int) else file.fileno()
        if number >= FIRST:
            self._own[number] = events
        else:
            self._real.register(number, events)
            self._others.add(number)

    def modify(self, file, events):
        number = file if isinstance(file, int) else file.fileno()
        if number >= FIRST:
            if number not in self._own:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._own[number] = events
        else:
            self._real.modify(number, events)

    def unregister(self, file):
        number = file if isinstance(file, int) else file.fileno()
        if number >= FIRST:
            del self._own[number]
        else:
            self._real.unregister(number)
            self._others.discard(number)

    def poll(self, timeout=None):
        found = []
        for number, events in self._own.items():
            ready = opened[number].is_ready(events) if number in opened else select.POLLNVAL
            if ready:
                found.append((number, ready))
        if found:
            timeout = 0
        elif self._own and not self._others and timeout in (None, -1):
            raise OSError(errno.EDEADLK, Pipe.WAITS)
        return found + (self._real.poll(timeout) if self._others or timeout else [])


def _select(real):
    def own_select(reads, writes, others, timeout=None):
        reads, writes, others = list(reads), list(writes), list(others)
        numbers = {it: it if isinstance(it, int) else it.fileno() for it in (*reads, *writes, *others)}
        if all(number < FIRST for number in numbers.values()):
            return real(reads, writes, others, timeout)
        asked = Poll()
        for number in set(numbers.values()):
            wanted = (select.POLLIN if any(numbers[it] == number for it in reads) else 0) | (
                select.POLLOUT if any(numbers[it] == number for it in writes) else 0
            )
            asked.register(number, wanted)
        found = dict(asked.poll(None if timeout is None else timeout * 1000))

        def of_those(given, events):
            return [it for it in given if found.get(numbers[it], 0) & events]

        ended = select.POLLHUP | select.POLLERR
        return of_those(reads, select.POLLIN | ended), of_those(writes, select.POLLOUT | ended), []

    return own_select
