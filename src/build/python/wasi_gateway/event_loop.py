"""asyncio on `wasi:io/poll`: the standard library's own loop, with timers, over pollables and sockets."""

import asyncio
import concurrent.futures
import select
import selectors
import time
from asyncio import selector_events

from wit_world.imports import monotonic_clock, poll

from .sockets import LISTENS
from .within import Within

# Nothing can wake the loop, as where an application waits for something that never comes. It waits then
# as it would anywhere, until the host has had enough.
FOR_EVER = 3600.0
# Who waits for sockets, which the C library has, and for something else, looks at each of them in turn, so often.
TURN = 0.002


class Pollables(selectors._BaseSelectorImpl):
    """Takes the place of a selector in asyncio's loop. What is ready is a future, or a socket's key with its events."""

    def __init__(self):
        super().__init__()
        self.waiting = {}
        # To be called before anything is waited for.
        self.first = None

    def is_used(self):
        return bool(self.waiting or self._fd_to_key)

    def select(self, timeout=None):
        if self.first is not None and timeout != 0:
            self.first()
        if not self._fd_to_key:
            return self._pollables(timeout)
        if not self.waiting:
            return self._sockets(timeout)
        left = FOR_EVER if timeout is None else timeout
        while True:
            found = self._pollables(0) + self._sockets(0)
            if found or left <= 0:
                return found
            found = self._pollables(min(left, TURN))
            if found:
                return found
            left -= TURN

    def _sockets(self, timeout):
        asked = select.poll()
        for number, key in self._fd_to_key.items():
            reads, writes = key.events & selectors.EVENT_READ, key.events & selectors.EVENT_WRITE
            asked.register(number, (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0))
        found = []
        for number, events in asked.poll(FOR_EVER * 1000 if timeout is None else max(timeout, 0) * 1000):
            key = self._fd_to_key.get(number)
            mask = (selectors.EVENT_READ if events & ~select.POLLOUT else 0) | (
                selectors.EVENT_WRITE if events & ~select.POLLIN else 0
            )
            if key is not None and mask & key.events:
                found.append((key, mask & key.events))
        return found

    def _pollables(self, timeout):
        if timeout is not None and timeout <= 0:
            return [future for future, pollable in self.waiting.items() if pollable.ready()]
        if timeout is None and self.waiting:
            return self._poll(list(self.waiting), list(self.waiting.values()))
        timeout = timeout or FOR_EVER
        if not self.waiting:
            # The C library does that in fewer steps than a pollable takes from here.
            time.sleep(timeout)
            return []
        with monotonic_clock.subscribe_duration(int(timeout * 1e9)) as clock:
            return self._poll(list(self.waiting), [*self.waiting.values(), clock])

    @staticmethod
    def _poll(futures, pollables):
        return [futures[index] for index in poll.poll(pollables) if index < len(futures)]


class WasiEventLoop(Within, selector_events.BaseSelectorEventLoop):
    def __init__(self):
        super().__init__(Pollables())

    def before_waiting(self, call):
        """`call`, or nothing, is called before anything is waited for."""
        self._selector.first = call

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
        task = self.Task(coroutine, loop=self, eager_start=True)
        while not task.done():
            self._run_once()
        return task.result()

    def is_alone(self):
        """Whether nothing else could run, or be waited for, if the task that runs let others run now; nor would it find
        itself cancelled."""
        others = self._ready or self._scheduled or self._waiting or self._parked or self._selector.is_used()
        task = asyncio.current_task(self)
        return not others and task is not None and not task._must_cancel

    def _run_once(self):
        """What is ready, and nothing else, needs neither clocks nor a look at what comes from outside."""
        ready = self._ready
        if not ready or self._scheduled or self._debug or self._selector.is_used():
            super()._run_once()
            return
        # What these add is for the next time.
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def forget_timers(self):
        """What is scheduled belongs to a clock that another machine does not have."""
        self._scheduled.clear()
        self._timer_cancelled_count = 0

    def run_in_executor(self, executor, func, *args):
        """At once, and not in a thread: there are none."""
        future = self.create_future()
        try:
            with Aside():
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
        aside = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        outer = asyncio.tasks._swap_current_task(self, None)
        try:
            task = self.create_task(coroutine)
            self.go_on(task)
            return task.result()
        finally:
            asyncio.tasks._swap_current_task(self, outer)
            asyncio._set_running_loop(aside)

    def call_soon_threadsafe(self, callback, *args, context=None):
        return self.call_soon(callback, *args, context=context)

    def set_default_executor(self, executor):
        if not isinstance(executor, concurrent.futures.Executor):
            raise TypeError("executor must be an Executor")

    async def create_server(self, *args, **kwargs):
        raise NotImplementedError(LISTENS)

    create_unix_server = create_server

    async def create_unix_connection(self, *args, **kwargs):
        raise NotImplementedError("a component reaches TCP and UDP, and no Unix sockets")

    async def subprocess_exec(self, *args, **kwargs):
        raise NotImplementedError("WASI starts no processes")

    subprocess_shell = subprocess_exec

    def add_signal_handler(self, number, callback, *args):
        raise NotImplementedError("nobody sends a component signals")

    def remove_signal_handler(self, number):
        return False

    def _process_events(self, ready):
        sockets = []
        for it in ready:
            if isinstance(it, tuple):
                sockets.append(it)
                continue
            self._selector.waiting.pop(it, None)
            if not it.done():
                it.set_result(None)
        super()._process_events(sockets)

    def _make_self_pipe(self):
        """Nothing else runs that could wake the loop."""

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        pass


class Aside:
    """Within it no loop runs, as in a thread: what it calls may have one of its own."""

    def __enter__(self):
        self._loop = asyncio._get_running_loop()
        self._task = self._loop and asyncio.tasks._swap_current_task(self._loop, None)
        asyncio._set_running_loop(None)

    def __exit__(self, *failure):
        asyncio._set_running_loop(self._loop)
        if self._loop is not None:
            asyncio.tasks._swap_current_task(self._loop, self._task)


class Policy(asyncio.events._AbstractEventLoopPolicy):
    """Whoever asks for a loop is given the one that there is, or the one of their own that they have set."""

    def __init__(self, loop):
        self._loop = loop
        self._set = None

    def get_event_loop(self):
        return self._loop if self._set is None else self._set

    def set_event_loop(self, loop):
        self._set = loop

    def new_event_loop(self):
        return WasiEventLoop()
