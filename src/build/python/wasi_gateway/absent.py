"""Modules of Python's library that are not there in WASI, for packages that import them without a `try`: they use little
of them, or nothing where there is one process and no terminal. Who does ask first whether there is such a module finds none,
as it has another way. Nothing is known of what the application imports itself, as its author can choose another way.
"""

import errno
import importlib.abc
import importlib.machinery
import opcode
import os
import sys
import time
import types

from . import memory_types
from .frozen import SITE


# What an `except`, a `finally` and the end of a `with` begin with.
LOOKS = opcode.opmap["PUSH_EXC_INFO"]


def _not_there(what):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOTSUP, f"WASI has no {what}")

    return refuse


def _fcntl():
    locks = {"LOCK_SH": 1, "LOCK_EX": 2, "LOCK_NB": 4, "LOCK_UN": 8, "F_RDLCK": 0, "F_WRLCK": 1, "F_UNLCK": 2}
    commands = {"F_DUPFD": 0, "F_GETFD": 1, "F_SETFD": 2, "F_GETFL": 3, "F_SETFL": 4, "F_GETLK": 5, "F_SETLK": 6}
    commands |= {"F_SETLKW": 7, "F_DUPFD_CLOEXEC": 1030, "F_GETPIPE_SZ": 1032, "F_SETPIPE_SZ": 1031, "FD_CLOEXEC": 1}

    def fcntl(fd, cmd, arg=0):
        number = fd if isinstance(fd, int) else fd.fileno()
        if cmd == commands["F_GETFD"]:
            return commands["FD_CLOEXEC"]
        if cmd == commands["F_SETFD"]:
            return 0
        if cmd == commands["F_GETFL"]:
            return 0 if os.get_blocking(number) else os.O_NONBLOCK
        if cmd == commands["F_SETFL"]:
            os.set_blocking(number, not arg & os.O_NONBLOCK)
            return 0
        raise OSError(errno.ENOTSUP, f"WASI has nothing for the command {cmd} of fcntl")

    return {**locks, **commands, "fcntl": fcntl, "flock": _not_there("locks of files"), "lockf": _not_there("locks of files"),
            "ioctl": _not_there("ioctl")}  # fmt: skip


def _resource():
    names = "RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE RLIMIT_AS"
    fields = "utime stime maxrss ixrss idrss isrss minflt majflt nswap inblock oublock msgsnd msgrcv nsignals nvcsw nivcsw"
    usage = types.SimpleNamespace(**{f"ru_{name}": 0 for name in fields.split()})

    def getrusage(who):
        return types.SimpleNamespace(**vars(usage) | {"ru_utime": time.process_time(), "ru_stime": 0.0})

    def setrlimit(resource, limits):
        raise ValueError("WASI has no limits that a program can set")

    return {**{name: at for at, name in enumerate(names.split())}, "RLIM_INFINITY": -1, "RUSAGE_SELF": 0,
            "RUSAGE_CHILDREN": -1, "error": OSError, "getrusage": getrusage, "getrlimit": lambda resource: (-1, -1),
            "setrlimit": setrlimit, "getpagesize": lambda: 65536}  # fmt: skip


def _names_of(kind):
    """`pwd` and `grp`, which know nobody."""

    def nobody(by):
        def look(it):
            raise KeyError(f"get{kind}{by}(): WASI has no users, and not {it!r}")

        return look

    by_number = "uid" if kind == "pw" else "gid"
    return {f"get{kind}{by_number}": nobody(by_number), f"get{kind}nam": nobody("nam"), f"get{kind}all": lambda: [],
            f"struct_{'passwd' if kind == 'pw' else 'group'}": tuple}  # fmt: skip


def _termios():
    names = "TCSANOW TCSADRAIN TCSAFLUSH ECHO ICANON ISIG IEXTEN ICRNL IXON OPOST VMIN VTIME TIOCGWINSZ"

    class error(Exception):
        pass

    def no_terminal(*args):
        raise error(errno.ENOTTY, "WASI has no terminals")

    calls = {name: no_terminal for name in ("tcgetattr", "tcsetattr", "tcdrain", "tcflush", "tcflow", "tcsendbreak")}
    return {**{name: at for at, name in enumerate(names.split())}, **calls, "error": error}


def _compression(module, classes, more):
    """A module that compresses, as whoever imports it has other ways too: nothing of it can be used."""
    refuse = _not_there(f"compression by {module}")
    functions = dict.fromkeys(("open", "compress", "decompress"), refuse)
    return functions | {name: type(name, (), {"__module__": module, "__init__": refuse}) for name in classes} | more


def _bz2():
    return _compression("bz2", ("BZ2File", "BZ2Compressor", "BZ2Decompressor"), {})


def _lzma():
    formats = {"FORMAT_AUTO": 0, "FORMAT_XZ": 1, "FORMAT_ALONE": 2, "FORMAT_RAW": 3}
    checks = {"CHECK_NONE": 0, "CHECK_CRC32": 1, "CHECK_CRC64": 4, "CHECK_SHA256": 10, "PRESET_DEFAULT": 6}
    error = {"LZMAError": type("LZMAError", (Exception,), {"__module__": "lzma"})}
    return _compression("lzma", ("LZMAFile", "LZMACompressor", "LZMADecompressor"), formats | checks | error)


MADE = {
    "bz2": _bz2,
    "lzma": _lzma,
    "fcntl": _fcntl,
    "resource": _resource,
    "pwd": lambda: _names_of("pw"),
    "grp": lambda: _names_of("gr"),
    "termios": _termios,
    "ctypes": memory_types.names,
    "ctypes.util": memory_types.names_of_util,
}


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self):
        self._shown = set()

    def find_spec(self, name, path=None, target=None):
        if name not in MADE or not (name.startswith("ctypes.") or _is_wanted()):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=name == "ctypes")

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        vars(module).update(MADE[module.__name__]())
        module.__doc__ = "Not there in WASI: it can be imported, and does little."
        self._shown.add(module.__name__)

    def hide(self):
        """To be called before and after another module is executed, which may have another way."""
        while self._shown:
            sys.modules.pop(self._shown.pop(), None)


def install(imports):
    absent = Absent()
    sys.meta_path.insert(0, absent)
    imports.between = absent.hide


def _is_wanted():
    """Whether a package imports it where nothing catches that it is not there."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(SITE + "/") and not _is_caught(frame)


def _is_caught(frame):
    """Whether something in its own code looks at what is raised there (CPython's Objects/exception_handling_notes.txt).
    What an `except` does itself is followed by what tidies up, which looks at nothing."""
    code, at = frame.f_code, frame.f_lasti
    while (handler := _handler(code.co_exceptiontable, at)) is not None:
        if code.co_code[handler] == LOOKS:
            return True
        at = handler
    return False


def _handler(table, at):
    """Where an error goes on that is raised there."""
    entries = iter(table)
    try:
        while True:
            start, length, target, _ = [2 * _number(entries) for _ in range(4)]
            if start <= at < start + length:
                return target
    except StopIteration:
        return None


def _number(entries):
    """Six bits at a time, the first ones first; 64 says that there are more."""
    byte = next(entries)
    value = byte & 63
    while byte & 64:
        byte = next(entries)
        value = value << 6 | byte & 63
    return value
