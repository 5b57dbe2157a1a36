"""What libraries begin once for a process: threads and tasks that never end, and what they draw at random. What such a
thread would do is done where somebody asks for it, no request waits for such a task, and each instance draws for itself.
"""

import contextvars
import os
import time
import types
import weakref

from .event_loop import Aside
from .threads import NoThread

# Tasks that requests have begun, and that may outlive the coroutine that answers.
begun = contextvars.ContextVar("begun", default=None)
# What draws again, in each instance, what a library has drawn when it was imported.
DRAWN = []
# What has something to send, which is sent when the request has been answered.
UNSENT = weakref.WeakSet()
# The thread of pymongo that finds out which server is what.
MONITOR = "pymongo_server_monitor_thread"


def waited_for_by_nobody(function):
    """The same function; no request waits for the tasks that it begins."""

    def called(*args, **kwargs):
        context = contextvars.copy_context()
        context.run(begun.set, None)
        return context.run(function, *args, **kwargs)

    return called


def _sentry(module):
    """Events are sent when there is one; a thread would take them from a queue."""

    def submit(self, callback):
        try:
            with Aside():
                # A thread has a context of its own.
                contextvars.Context().run(callback)
        except Exception:
            module.logger.error("Failed processing job", exc_info=True)
        return True

    module.BackgroundWorker.submit = submit


def _sse_starlette(module):
    """Its watcher looks twice a second whether the server is to stop, which no component is told."""
    module._ensure_watcher_started_on_this_loop = lambda: None


def _bson(module):
    """An ObjectId has a part that is drawn once for a process, and one that counts from such a number: instances would
    make the same ones in the same second."""

    def draw():
        # It draws again where it is in another process.
        module.ObjectId._pid = None
        module.ObjectId._inc = int.from_bytes(os.urandom(3))

    DRAWN.append(draw)


def _pymongo_executors(module):
    opened = module.WASI_OPENED = weakref.WeakSet()

    def open(self):
        self._stopped = False
        opened.add(self)

    module.PeriodicExecutor.open = open
    # Versions before 4.9 have no such kind.
    if (kind := getattr(module, "AsyncPeriodicExecutor", None)) is not None:
        kind.open = waited_for_by_nobody(kind.open)


def _pymongo_topology(module):
    """Who waits for a server looks for it."""
    from pymongo import periodic_executor

    def look(condition, timeout):
        condition.release()
        try:
            for executor in [it for it in periodic_executor.WASI_OPENED if it._name == MONITOR and not it._stopped]:
                _look_once(executor)
        finally:
            condition.acquire()
        return True

    module._cond_wait = look


def _look_once(executor):
    """Not more often than the thread would."""
    left = vars(executor).get("_wasi_not_before", 0) - time.monotonic()
    # An instance may begin with what another clock said.
    if 0 < left <= executor._min_interval:
        time.sleep(left)
    executor._wasi_not_before = time.monotonic() + executor._min_interval
    if not executor._target():
        executor._stopped = True


def _pymongo_monitor(module):
    """Servers are asked and not listened to, as in other places where nothing runs between requests."""
    module._is_faas = lambda: True


def _opentelemetry_batches(module):
    """Spans, and lines of logs, are sent when the request has been answered, or when there are as many as go at once."""
    kind, strategy = module.BatchProcessor, module.BatchExportStrategy
    module.threading = types.SimpleNamespace(**vars(module.threading) | {"Thread": NoThread})
    emit = kind.emit

    def emit_for_later(self, data):
        emit(self, data)
        UNSENT.add(self)
        if not Building.goes_on and len(self._queue) >= self._max_export_batch_size:
            self._export(strategy.EXPORT_WHILE_BATCH_EXCEEDS_THRESHOLD)

    kind.emit = emit_for_later
    kind.wasi_send = lambda self: self._export(strategy.EXPORT_ALL)


def _opentelemetry_metrics(module):
    """What is counted is counted by one instance, and nobody would send it by and by."""
    kind = module.PeriodicExportingMetricReader
    module.Thread = NoThread
    init = kind.__init__

    def begin(self, *args, **kwargs):
        init(self, *args, **kwargs)
        module._logger.warning("metrics are sent by force_flush() only: WASI has no threads that would send them")

    kind.__init__ = begin


def send():
    """Sends what there is to send. While the component is built nobody can be reached, and it is forgotten."""
    while UNSENT:
        batch = UNSENT.pop()
        if not Building.goes_on:
            with Aside():
                batch.wasi_send()
        else:
            batch._queue.clear()


class Building:
    goes_on = True


# Modules, and what is done once each has been imported.
LIBRARIES = {
    "sentry_sdk.worker": _sentry,
    "sse_starlette.sse": _sse_starlette,
    "opentelemetry.sdk._shared_internal": _opentelemetry_batches,
    "opentelemetry.sdk.metrics._internal.export": _opentelemetry_metrics,
    "bson.objectid": _bson,
    "pymongo.periodic_executor": _pymongo_executors,
    "pymongo.synchronous.topology": _pymongo_topology,
    "pymongo.synchronous.monitor": _pymongo_monitor,
    "pymongo.asynchronous.monitor": _pymongo_monitor,
}
