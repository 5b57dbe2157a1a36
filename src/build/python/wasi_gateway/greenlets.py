"""The module `greenlet`, as far as WebAssembly has it: a function that waits for awaitables of asyncio, as SQLAlchemy's
asyncio has its own functions wait.

A greenlet's function runs in its place, on the one stack that there is. Where it switches to its parent with an awaitable,
that is run to its end there, by the loop. Nothing else can be switched to.
"""

import asyncio
import enum
import inspect
import sys
import weakref

from . import within
from .event_loop import WasiEventLoop

__version__ = "3.5.6"
GREENLET_USE_GC = GREENLET_USE_TRACING = False
GREENLET_USE_CONTEXT_VARS = True
FREE = (
    "greenlets cannot be switched between: WebAssembly has one stack. What can be had is what SQLAlchemy's asyncio does: "
    "a function that switches to its parent with an awaitable, and waits for it"
)


class error(Exception):
    pass


class GreenletExit(BaseException):
    pass


# Functions of SQLAlchemy's that give back what others may wait for. Its sessions have tasks of their own call them.
GIVES_BACK = {"close", "rollback", "invalidate"}


class State(enum.Enum):
    NEW = enum.auto()
    # It was switched to, and its function is called when others have had their turn.
    BEGUN = enum.auto()
    RUNS = enum.auto()
    DEAD = enum.auto()


class greenlet:
    error, GreenletExit = error, GreenletExit

    def __init__(self, run=None, parent=None):
        if run is not None:
            self.run = run
        self.parent = getcurrent() if parent is None else parent
        self._state = State.NEW
        self._given = None
        _watch_pools()

    @staticmethod
    def getcurrent():
        return _current

    @property
    def dead(self):
        return self._state is State.DEAD

    def __bool__(self):
        return self._state is State.RUNS

    def switch(self, *args, **kwargs):
        if self is _current.parent and len(args) == 1 and not kwargs and inspect.isawaitable(args[0]):
            return _await(args[0])
        if self._state is State.DEAD:
            return args[0] if len(args) == 1 else args
        if _current is not self.parent or self._state is State.RUNS:
            raise error(FREE)
        if self._state is State.NEW and getattr(self, "__sqlalchemy_greenlet_provider__", False):
            # SQLAlchemy awaits what it is given, as long as this is not dead, and switches again.
            self._state, self._given = State.BEGUN, (args, kwargs)
            return Turn(getattr(self.run, "__name__", None) in GIVES_BACK)
        if self._state is State.BEGUN:
            (args, kwargs), self._given = self._given, None
        return self._call(args, kwargs)

    def _call(self, args, kwargs):
        global _current
        self._state, _current = State.RUNS, self
        try:
            return self.run(*args, **kwargs)
        except GreenletExit as end:
            return end
        finally:
            self._state, _current = State.DEAD, self.parent

    def throw(self, kind=GreenletExit, value=None, trace=None):
        if self._state is State.RUNS:
            raise error(FREE)
        self._state = State.DEAD
        raised = kind if isinstance(kind, BaseException) else value
        if not isinstance(raised, BaseException):
            raised = kind() if value is None else kind(value)
        if isinstance(raised, GreenletExit):
            return raised
        raise raised.with_traceback(trace or raised.__traceback__)


class Turn:
    def __init__(self, gives_back):
        self._gives_back = gives_back

    def __await__(self):
        return asyncio.get_running_loop().others_first(self._gives_back)


def _await(awaitable):
    """Runs it as the parent would, and has the function go on with what comes of it."""
    global _current
    function, _current = _current, _current.parent
    try:
        return asyncio.get_running_loop().run_within(awaitable)
    finally:
        _current = function


def getcurrent():
    return _current


def settrace(callback):
    if callback is not None:
        raise error(FREE)


def gettrace():
    return None


_is_watched = False
# Pools that connections were lent from.
_pools = weakref.WeakSet()


def _is_a_pool_empty():
    return any(it.checkedout() >= it.size() + it._max_overflow for it in _pools if it._max_overflow >= 0)


def _watch_pools():
    """Has tasks know which connections of SQLAlchemy's they have."""
    global _is_watched
    if _is_watched or "sqlalchemy.pool" not in sys.modules:
        return
    _is_watched = True
    from sqlalchemy import event
    from sqlalchemy.pool import Pool, QueuePool

    holder = "wasmserve_holder"

    def lent(connection, record, proxy):
        if isinstance(pool := getattr(proxy, "_pool", None), QueuePool):
            _pools.add(pool)
        task = _task()
        if isinstance(task, within.Task):
            task.holds += 1
            record.info[holder] = task

    def returned(connection, record):
        task = record.info.pop(holder, None)
        if task is not None:
            task.holds -= 1

    event.listen(Pool, "checkout", lent)
    event.listen(Pool, "checkin", returned)


def _task():
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def install():
    """Puts the module where others find it. From here on tasks can wait in functions."""
    sys.modules["greenlet"] = sys.modules[__name__]
    WasiEventLoop.Task = within.Task
    WasiEventLoop.is_a_pool_empty = staticmethod(_is_a_pool_empty)


_current = None
_root = greenlet.__new__(greenlet)
_root.parent, _root._state, _root._given = None, State.RUNS, None
_current = _root
