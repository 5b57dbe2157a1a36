"""What would run in a thread runs at once, where it was asked for: WASI has no threads. Nor has it processes."""

import asyncio
import concurrent.futures
import contextvars
import errno
import logging.handlers
import threading
import time
import types

from .event_loop import Aside

DAEMON = (
    "WASI has no threads. A thread runs to its end when it is started, and one that is a daemon would have none: begin a "
    "task of asyncio, or do the work in the request"
)
WAITS = "it waits for another thread, and WASI has none"
PROCESSES = "WASI starts no processes"


def install(loop):
    _install_threading()
    _install_queue_listener()
    _install_processes()
    concurrent.futures.ThreadPoolExecutor.submit = _submit
    asyncio.run_coroutine_threadsafe = _threadsafe
    asyncio.tasks.run_coroutine_threadsafe = _threadsafe
    _install_aiosqlite()
    _install_asgiref()
    try:
        from anyio._backends import _asyncio as backend
    except ImportError:
        return
    _install_anyio(backend, loop)


def _install_anyio(backend, loop):
    from anyio import WouldBlock
    from anyio._core._eventloop import claim_worker_thread, threadlocals as local

    kind = backend.AsyncIOBackend
    with claim_worker_thread(kind, loop):
        local.current_cancel_scope = None
        # What says to anyio.from_thread that this is such a thread.
        claimed = dict(vars(local))

    async def run_sync_in_worker_thread(cls, func, args, abandon_on_cancel=False, limiter=None):
        limiter = limiter or cls.current_default_thread_limiter()
        # Where others may run, they run as often as they would elsewhere.
        if loop.is_alone() and taken(limiter):
            try:
                return run(func, args)
            finally:
                limiter.release()
        await cls.checkpoint()
        async with limiter:
            return run(func, args)

    def taken(limiter):
        try:
            limiter.acquire_nowait()
        except WouldBlock:
            return False
        return True

    def run(func, args):
        context = contextvars.copy_context()
        context.run(backend.set_current_async_library, None)
        # One may call another.
        known = vars(local)
        before = dict(known)
        known.clear()
        known.update(claimed)
        try:
            with Aside():
                return context.run(func, *args)
        finally:
            known.clear()
            known.update(before)

    def run_async_from_thread(cls, func, args, token):
        context = contextvars.copy_context()
        context.run(backend.set_current_async_library, "asyncio")
        return context.run(loop.run_nested, func(*args))

    def run_sync_from_thread(cls, func, args, token):
        context = contextvars.copy_context()
        context.run(backend.set_current_async_library, "asyncio")
        outside = asyncio._get_running_loop()
        asyncio._set_running_loop(loop)
        try:
            return context.run(func, *args)
        finally:
            asyncio._set_running_loop(outside)

    kind.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
    kind.run_async_from_thread = classmethod(run_async_from_thread)
    kind.run_sync_from_thread = classmethod(run_sync_from_thread)


def _install_aiosqlite():
    """Its statements, each of which it hands to a thread that it begins for a connection and that ends with that."""
    try:
        from aiosqlite import core
    except ImportError:
        return
    for name in ("SimpleQueue", "Queue"):
        if hasattr(core, name):
            setattr(core, name, InPlace)
    if issubclass(core.Connection, threading.Thread):
        # As it was before 0.22.
        core.Connection.start = lambda self: None
    else:
        core.Thread = NoThread


def _install_asgiref():
    """Its thread that waits for the end of a pool, for each request to Django: a daemon that ends by itself."""
    try:
        from asgiref import sync
    except ImportError:
        return
    names = types.SimpleNamespace(**vars(threading))
    names.Thread = EndsByItself
    sync.threading = names


class EndsByItself(threading.Thread):
    """A thread that can run to its end when it is started, though it is said to be a daemon."""

    def __init__(self, *args, daemon=None, **kwargs):
        super().__init__(*args, daemon=False, **kwargs)


class InPlace:
    """In place of the queue of a thread that calls functions: calls each when it is put, so that nobody waits for it."""

    def __class_getitem__(cls, item):
        return cls

    def put_nowait(self, item):
        if not isinstance(item, tuple):
            # It tells the thread to end.
            return
        future, function = item
        try:
            result = function()
        except BaseException as error:
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)

    put = put_nowait


class NoThread:
    """In place of that thread."""

    daemon = False

    def __init__(self, *args, **kwargs):
        pass

    def start(self):
        pass

    def is_alive(self):
        return False

    def join(self, timeout=None):
        pass


def _submit(self, function, /, *args, **kwargs):
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        with Aside():
            result = function(*args, **kwargs)
        future.set_result(result)
    except Exception as error:
        future.set_exception(error)
    return future


def _threadsafe(coroutine, loop):
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        future.set_result(loop.run_nested(coroutine))
    except Exception as error:
        future.set_exception(error)
    return future


class Ended:
    """In place of the system's handle of a thread that has run."""

    def __init__(self):
        self.ident = threading.get_ident()

    def is_done(self):
        return True

    def join(self, timeout=None):
        pass

    def _set_done(self):
        pass


def _run_in_place(bootstrap, *, handle, daemon):
    if daemon:
        raise RuntimeError(f"can't start new thread: {DAEMON}")
    ident = threading.get_ident()
    before = threading._active.get(ident)
    try:
        with Aside():
            bootstrap()
    finally:
        if before is not None:
            threading._active[ident] = before
    bootstrap.__self__._os_thread_handle = Ended()


def _install_threading():
    threading._start_joinable_thread = _run_in_place
    wait = threading.Condition.wait

    def wait_for_nobody(self, timeout=None):
        if not self._is_owned():
            return wait(self, timeout)
        if timeout is None:
            raise RuntimeError(WAITS)
        # Nobody can notify meanwhile.
        time.sleep(max(timeout, 0))
        return False

    threading.Condition.wait = wait_for_nobody


def _install_queue_listener():
    """Its thread, that would hand on what is logged: whoever logs hands it on."""
    kind = logging.handlers.QueueListener

    def start(self):
        def put(record, *args, **kwargs):
            if record is not self._sentinel:
                self.handle(record)

        while not self.queue.empty():
            put(self.queue.get_nowait())
        self.queue.put = self.queue.put_nowait = put
        self._thread = NoThread()

    def stop(self):
        if self._thread is not None:
            del self.queue.put, self.queue.put_nowait
            self._thread = None

    kind.start, kind.stop = start, stop


def _install_processes():
    def none(self, *args, **kwargs):
        raise OSError(errno.ENOTSUP, PROCESSES)

    try:
        from multiprocessing import process
    except ImportError:
        return
    process.BaseProcess.start = none

    try:
        from concurrent.futures import process as pool
    except (ImportError, NotImplementedError):
        return
    pool.ProcessPoolExecutor.__init__ = none
