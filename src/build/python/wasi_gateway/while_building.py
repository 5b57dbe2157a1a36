"""What an application must not do while it is imported, as the component keeps what comes of it for ever.

Sockets, names of hosts and requests to other servers are refused: each is a handle of the host that builds, which no
other knows. Variables of the environment are there to be read; who reads one is noted, as the value that is found then
stays.
"""

import gc
import io
import os
import socket
import sys
import time
import types

from . import databases, frozen, outbound, tls
from .event_loop import Pollables

# How far to look for the application's line that led to something.
DEPTH = 60
# Looked for by libraries, and no setting of an application.
PLAIN = {"NO_COLOR", "FORCE_COLOR", "TERM", "HOME", "PATH"}
# Libraries that read an application's settings for it. What others read is their own affair.
SETTINGS = ("pydantic_settings/", "starlette/config.py", "environs/", "decouple.py", "dotenv/", "dynaconf/", "environ/")
# More is not told.
MOST = 20
LOOKUPS = "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getnameinfo".split()


class Building:
    """Why the host does not answer, in place of what it would say."""

    def __init__(self, value):
        self.value = value


class Sleeper:
    """In place of the host's clocks, which answer nobody yet."""

    def __init__(self):
        self.waiting = {}

    def get_map(self):
        return {}

    def is_used(self):
        return False

    def select(self, timeout):
        return _sleep(self, timeout)


def _sleep(selector, timeout):
    if timeout is None:
        raise RuntimeError("it waits for what never comes while the component is built")
    time.sleep(max(timeout, 0))
    return []


class Watch:
    def __init__(self, given):
        # Variables that the build was told, whose values are meant to stay.
        self._given = set(given)
        self._read = {}
        self._refused = []
        self._kept = {}

    def begin(self, loop):
        self._keep(loop, "_selector", Sleeper())
        # Those of loops that the application runs itself (asyncio.run).
        self._keep(Pollables, "_pollables", _sleep)
        self._keep(outbound.Call, "__init__", self._refusal("no server can be asked", outbound.Refused, Building))
        kind, read = type(os.environ), self._reading

        class Environment(kind):
            def __getitem__(self, name):
                read(name)
                return kind.__getitem__(self, name)

            def __iter__(self):
                read(None)
                return kind.__iter__(self)

        self._kept["environ"] = kind
        os.environ.__class__ = Environment
        for name in LOOKUPS:
            self._keep(socket, name, self._refusal("a name cannot be looked up", socket.gaierror, socket.EAI_AGAIN))
        refuse = self._refusal("a socket cannot be opened", OSError, 0)
        self._keep(socket.socket, "__init__", lambda self, *args, **kwargs: refuse())
        self._keep(tls, "opened", self._refusal("TLS cannot be spoken", OSError, 0))
        for name in databases.DRIVERS.values():
            if driver := sys.modules.get(name):
                refuse = self._refusal("a database cannot be opened", driver.OperationalError, 0)
                self._keep(driver.Connection, "__init__", refuse)

    def end(self):
        os.environ.__class__ = self._kept.pop("environ")
        for (holder, name), value in self._kept.items():
            setattr(holder, name, value)

    def notes(self):
        """What the user should know, in sentences."""
        for place, name in self._read:
            what = f"`{name}`" if name else "the environment"
            yield (
                f"{place} reads {what} while the component is built, and keeps what it finds: give it with --env to the build, "
                "or read it where a request or the lifespan begins"
            )
        yield from self._refused

    def _keep(self, holder, name, value):
        self._kept[holder, name] = getattr(holder, name)
        setattr(holder, name, value)

    def _refusal(self, what, kind, code):
        def refuse(*args, **kwargs):
            place = _place()
            text = f"{what} while the component is built"
            if place:
                self._refused.append(f"{text}, as {place} does")
            text += "; do it where a request or the lifespan begins"
            raise kind(code(text)) if kind is outbound.Refused else kind(code, text)

        return refuse

    def _reading(self, name):
        if name is not None and (name in self._given or name in PLAIN or name.startswith("PYTHON")):
            return
        place = _place(*SETTINGS)
        if place and (place, None) not in self._read and len(self._read) < MOST:
            self._read[place, name] = True


def _place(*libraries):
    """The application's line that is being executed, where it is being imported and calls this itself, or by way of one
    of these libraries."""
    frame, found = sys._getframe(2), None
    for _ in range(DEPTH):
        if frame is None:
            return None
        code = frame.f_code
        file = code.co_filename.removeprefix(frozen.APPLICATION + "/")
        if file != code.co_filename:
            found = found or f"{file}:{frame.f_lineno}"
            # Its lifespan, too, reads things while the component is built, and reads them again when it serves.
            if code.co_name == "<module>":
                return found
        elif found is None:
            within = file.removeprefix(frozen.SITE + "/")
            if file.startswith("<frozen importlib") or (within != file and not within.startswith(libraries)):
                return None
        frame = frame.f_back
    return None


def handles():
    """What is open, and would not be where the component is served: what it is, and who holds it."""
    for it in gc.get_objects():
        try:
            if not issubclass(type(it), io.FileIO) or it.closed or it.fileno() <= 2:
                continue
        except Exception:
            continue
        yield f"the file {it.name}", _holder(it)


def _holder(it):
    """The name of a module's variable that leads to an object, where it is not far."""
    seen, left = {id(it)}, [(it, 0)]
    while left:
        found, depth = left.pop(0)
        for by in gc.get_referrers(found):
            if id(by) in seen or type(by) is types.FrameType or depth > 6:
                continue
            seen.add(id(by))
            if type(by) is dict and type(by.get("__name__")) is str and sys.modules.get(by["__name__"]) is not None:
                if vars(sys.modules[by["__name__"]]) is by:
                    name = next((name for name, value in by.items() if value is found), None)
                    if name is not None and not by["__name__"].startswith("wasi_gateway"):
                        return f"{by['__name__']}.{name}"
                    continue
            left.append((by, depth + 1))
    return None
