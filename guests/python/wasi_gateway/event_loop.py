"""asyncio on `wasi:io/poll`: the standard library's own loop, with timers, over pollables instead of sockets."""

import asyncio
import concurrent.futures

from wit_world.imports import monotonic_clock, poll

# Nothing can wake the loop, as where an application waits for something that never comes. It waits then
# as it would anywhere, until the host has had enough.
FOR_EVER = 3600.0


class Pollables:
    """Takes the place of a selector in asyncio's loop."""

    def __init__(self):
        self.waiting = {}

    def select(self, timeout):
        if timeout is not None and timeout <= 0:
            return [future for future, pollable in self.waiting.items() if pollable.ready()]
        if timeout is None and self.waiting:
            return self._poll(list(self.waiting), list(self.waiting.values()))
        clock = monotonic_clock.subscribe_duration(int((timeout or FOR_EVER) * 1e9))
        with clock:
            if not self.waiting:
                clock.block()
                return []
            return self._poll(list(self.waiting), [*self.waiting.values(), clock])

    @staticmethod
    def _poll(futures, pollables):
        return [futures[index] for index in poll.poll(pollables) if index < len(futures)]


class WasiEventLoop(asyncio.BaseEventLoop):
    def __init__(self):
        super().__init__()
        self._selector = Pollables()
        # Who else may run while a function that "has a thread" waits.
        self._nested = 0

    async def ready(self, pollable):
        """Waits for a pollable, and gives it back to the host."""
        future = self.create_future()
        waiting = self._selector.waiting
        waiting[future] = pollable
        try:
            await future
        finally:
            waiting.pop(future, None)
            pollable.__exit__(None, None, None)

    def serve(self):
        """From here on the loop is always running, as far as anyone can tell: nothing else runs here."""
        self._run_forever_setup()

    def run_request(self, coroutine):
        """As `run_until_complete`, without what that does and undoes each time. Begins at once: an application
        that waits for nothing is never scheduled."""
        task = asyncio.Task(coroutine, loop=self, eager_start=True)
        while not task.done():
            self._run_once()
        return task.result()

    def forget_timers(self):
        """What is scheduled belongs to a clock that another machine does not have."""
        self._scheduled.clear()
        self._timer_cancelled_count = 0

    def run_in_executor(self, executor, func, *args):
        """At once, and not in a thread: there are none."""
        future = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def run_nested(self, coroutine):
        """Runs a coroutine to its end from inside a function that the loop itself has called."""
        outer = asyncio.tasks._swap_current_task(self, None)
        self._nested += 1
        try:
            task = self.create_task(coroutine)
            while not task.done():
                self._run_once()
            return task.result()
        finally:
            self._nested -= 1
            asyncio.tasks._swap_current_task(self, outer)

    def call_soon_threadsafe(self, callback, *args, context=None):
        return self.call_soon(callback, *args, context=context)

    def set_default_executor(self, executor):
        if not isinstance(executor, concurrent.futures.Executor):
            raise TypeError("executor must be an Executor")

    def _process_events(self, ready):
        for future in ready:
            self._selector.waiting.pop(future, None)
            if not future.done():
                future.set_result(None)

    def _write_to_self(self):
        pass


class Policy(asyncio.events._AbstractEventLoopPolicy):
    """Whoever asks for a loop is given the one that there is."""

    def __init__(self, loop):
        self._loop = loop

    def get_event_loop(self):
        return self._loop

    def set_event_loop(self, loop):
        pass

    def new_event_loop(self):
        return WasiEventLoop()
