"""What CPython for WASI lacks, and libraries name when they are imported."""

import errno
import hashlib
import hmac
import logging
import os
import sys
import threading
import types


# The user and the group of who has none, as Linux numbers nobody.
NOBODY = 65534


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """PKCS #5 (RFC 8018, section 5.2) in Python, where OpenSSL would do it, and many times slower."""
    if iterations < 1:
        raise ValueError("iteration value must be greater than 0.")
    begun = hmac.new(password, None, hash_name)
    dklen = begun.digest_size if dklen is None else dklen
    if dklen < 1:
        raise ValueError("key length must be greater than 0.")
    key, number = b"", 0
    while len(key) < dklen:
        number += 1
        block = _digest(begun, bytes(salt) + number.to_bytes(4, "big"))
        total = int.from_bytes(block, "big")
        for _ in range(iterations - 1):
            block = _digest(begun, block)
            total ^= int.from_bytes(block, "big")
        key += total.to_bytes(begun.digest_size, "big")
    return key[:dklen]


def _digest(begun, data):
    one = begun.copy()
    one.update(data)
    return one.digest()


class Mapping:
    def __init__(self, *args, **kwargs):
        raise OSError("files cannot be mapped into memory in WASI")


class SemLock:
    """What `multiprocessing` makes its locks of."""

    SEM_VALUE_MAX = 2**31 - 1

    def __init__(self, *args, **kwargs):
        raise OSError(errno.ENOTSUP, PROCESSES)


def _refused(what, number=errno.ENOTSUP):
    def refuse(*args, **kwargs):
        raise OSError(number, what)

    return refuse


PROCESSES = "WASI starts no processes"
# What libraries name when they are imported, or call to be told that it is not so. What they look for by `hasattr`, as `fork`,
# is not here.
IN_OS = {
    "system": _refused(PROCESSES),
    "kill": _refused(PROCESSES),
    "killpg": _refused(PROCESSES),
    "waitpid": _refused(PROCESSES, errno.ECHILD),
    "getppid": lambda: 1,
    "getgroups": lambda: [],
    "getlogin": _refused("nobody is logged in", errno.ENXIO),
    "getloadavg": _refused("WASI tells nothing of the machine"),
    "get_terminal_size": _refused("WASI has no terminals", errno.ENOTTY),
    "sched_getaffinity": lambda pid: {0},
}


class Mask:
    """Files of a component have no owner whom it could keep from them; whoever sets the mask gets back what there was."""

    def __init__(self):
        self.now = 0o022

    def set(self, mask):
        before, self.now = self.now, mask & 0o777
        return before


def _expanduser(real, home):
    """A user has a home where `HOME` says so, else the application's folder is it."""

    def expanduser(path):
        found = real(path)
        is_text = isinstance(found, str)
        tilde, rest = ("~", found[1:]) if is_text else (b"~", found[1:])
        if found[:1] != tilde or rest[:1] not in ("", "/", b"", b"/"):
            return found
        return (home if is_text else home.encode()) + rest

    return expanduser


def install(home):
    if not hasattr(hashlib, "pbkdf2_hmac"):
        hashlib.pbkdf2_hmac = pbkdf2_hmac
    # prometheus_client imports it, and uses it only among several processes.
    module = types.ModuleType("mmap", "Not there in WASI: it can be imported, and maps nothing.")
    module.mmap, module.error, module.ACCESS_READ, module.ACCESS_WRITE = Mapping, OSError, 1, 2
    module.PAGESIZE = module.ALLOCATIONGRANULARITY = 65536
    sys.modules["mmap"] = module
    # hypercorn imports it, by way of multiprocessing.synchronize, and Quart imports hypercorn.
    module = types.ModuleType("_multiprocessing", "Not there in WASI: it can be imported, and starts nothing.")
    module.SemLock, module.sem_unlink, module.flags = SemLock, SemLock, {}
    sys.modules["_multiprocessing"] = module
    # platformdirs imports one of them, whatever it is asked for then.
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        if not hasattr(os, name):
            setattr(os, name, lambda: NOBODY)
    for name, instead in {**IN_OS, "umask": Mask().set}.items():
        if not hasattr(os, name):
            setattr(os, name, instead)
    if not hasattr(threading, "get_native_id"):
        threading.get_native_id = os.getpid
    os.path.expanduser = _expanduser(os.path.expanduser, home)
    # What is logged where nothing was configured says how important it is, so that the host's log has that.
    logging.lastResort.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
