"""What would run in a thread runs at once, where it was asked for: WASI has no threads."""

import asyncio
import concurrent.futures
import contextvars


def install(loop):
    concurrent.futures.ThreadPoolExecutor.submit = _submit
    asyncio.run_coroutine_threadsafe = _threadsafe
    asyncio.tasks.run_coroutine_threadsafe = _threadsafe
    try:
        from anyio._backends import _asyncio as backend
    except ImportError:
        return
    _install_anyio(backend, loop)


def _install_anyio(backend, loop):
    from anyio._core._eventloop import claim_worker_thread, threadlocals as local

    async def run_sync_in_worker_thread(cls, func, args, abandon_on_cancel=False, limiter=None):
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            context = contextvars.copy_context()
            context.run(backend.set_current_async_library, None)
            # What says to anyio.from_thread that this is such a thread. One may call another.
            before = dict(vars(local))
            try:
                with claim_worker_thread(cls, loop):
                    local.current_cancel_scope = None
                    return context.run(func, *args)
            finally:
                vars(local).clear()
                vars(local).update(before)

    def run_async_from_thread(cls, func, args, token):
        context = contextvars.copy_context()
        context.run(backend.set_current_async_library, "asyncio")
        return context.run(loop.run_nested, func(*args))

    def run_sync_from_thread(cls, func, args, token):
        context = contextvars.copy_context()
        context.run(backend.set_current_async_library, "asyncio")
        return context.run(func, *args)

    kind = backend.AsyncIOBackend
    kind.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
    kind.run_async_from_thread = classmethod(run_async_from_thread)
    kind.run_sync_from_thread = classmethod(run_sync_from_thread)


def _submit(self, function, /, *args, **kwargs):
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        future.set_result(function(*args, **kwargs))
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
