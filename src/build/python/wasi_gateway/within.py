"""Waiting in the middle of a function, and not at an `await`: the loop goes on from there until what is waited for is there.

There is one stack, so of functions that wait it is the last that goes on first. Where one might wait for another that is
beneath it, it is not called until that has ended (`others_first`).
"""

import asyncio

STUCK = (
    "what this waits for can come only from a function that waits itself, and goes on after this one: WebAssembly has one "
    "stack. Await it where no function is in between, outside of run_sync and await_only"
)
# So long others may be ready by what comes from outside, before they are asked, in seconds.
TURN = 0.005
# So many functions wait, one within the other, before the next is called only where the last of them has waited for a while,
# in seconds; and so many at most. Python calls a thousand functions deep, and each of these has some twenty.
DEEP, DEEPEST = 8, 24
PATIENCE = 0.1


class Task(asyncio.Task):
    """One that is cancelled while a function of its waits, too: in the same way as at an `await`."""

    # What a function waits for, how many of them wait, and how many times it was cancelled meanwhile.
    _awaited = None
    _depth = 0
    _more = 0
    # What is raised in the function when it goes on.
    _raised = None
    # Connections of SQLAlchemy's pools that it has.
    holds = 0

    def cancel(self, msg=None):
        if self._awaited is None:
            return super().cancel(msg)
        self._more += 1
        if not self._awaited.cancel(msg=msg):
            self._raised = _cancelled(msg)
        return True

    def cancelling(self):
        return super().cancelling() + self._more

    def uncancel(self):
        if not self._more:
            super().uncancel()
        else:
            self._more -= 1
        left = self.cancelling()
        if not left:
            self._raised = None
        return left

    # What libraries look at that cancel again and again.
    @property
    def _fut_waiter(self):
        return asyncio.Task._fut_waiter.__get__(self) if self._awaited is None else self._awaited

    @property
    def _must_cancel(self):
        return self._raised is not None or asyncio.Task._must_cancel.__get__(self)

    def begin(self, future):
        """A function begins to wait for this."""
        self._awaited = future
        if asyncio.Task._must_cancel.__get__(self):
            message = self._cancel_message
            # It is cancelled as often as it was, and told now.
            while super().cancelling():
                super().uncancel()
                self._more += 1
            if not future.cancel(msg=message):
                self._raised = _cancelled(message)

    def end(self):
        """It goes on; with this, if it was cancelled."""
        raised, self._raised, self._awaited = self._raised, None, None
        return raised


def _cancelled(message):
    return asyncio.CancelledError() if message is None else asyncio.CancelledError(message)


class Within:
    """What a loop has for it."""

    def __init__(self, selector):
        super().__init__(selector)
        # The tasks whose functions wait, one within the other, each with when it began; and what those wait for that are not
        # to be called yet.
        self._waiting, self._parked = [], []
        # When it was looked last at what comes from outside.
        self._looked = 0.0
        if self.Task is not asyncio.Task:
            self.set_task_factory(lambda loop, coroutine, **options: loop.Task(coroutine, loop=loop, **options))

    # What its tasks are. Others can wait nowhere but at an `await`.
    Task = asyncio.Task
    # Whether who asks for a connection to a database would wait for one that somebody gives back.
    is_a_pool_empty = staticmethod(lambda: False)

    def run_within(self, awaitable):
        """Runs an awaitable to its end inside of a function that the current task has called, as a part of that task."""
        task = asyncio.current_task(self)
        coroutine = awaitable if asyncio.iscoroutine(awaitable) else _awaiting(awaitable)
        raised = None
        self._enter(task, 1)
        try:
            while True:
                try:
                    asked = coroutine.send(None) if raised is None else coroutine.throw(raised)
                except StopIteration as end:
                    return end.value
                raised = self._wait(task, asked)
        finally:
            self._enter(task, -1)
            # It has a reference to this frame.
            raised = None

    @staticmethod
    def _enter(task, step):
        if isinstance(task, Task):
            task._depth += step

    def _wait(self, task, asked):
        """Waits for what a coroutine has given, as a task does. Returns what is to be raised there."""
        if not isinstance(task, Task):
            return RuntimeError("a function can wait where a task of asyncio's has called it that the loop has made")
        if asked is None:
            asked = self.create_future()
            self.call_soon(_turned, asked)
        elif getattr(asked, "_asyncio_future_blocking", None):
            asked._asyncio_future_blocking = False
        else:
            return RuntimeError(f"Task got bad yield: {asked!r}")
        asyncio.tasks._swap_current_task(self, None)
        task.begin(asked)
        self._waiting.append((task, self.time()))
        try:
            self.go_on(asked, raises=False)
        finally:
            self._waiting.pop()
            raised = task.end()
            asyncio.tasks._swap_current_task(self, task)
            if not self._waiting:
                while self._parked:
                    _turned(self._parked.pop(0))
        if raised is None and not asked.done():
            return RuntimeError(STUCK)
        return raised

    def go_on(self, future, raises=True):
        """Runs what there is until a future is done, from inside of something that the loop itself has called."""
        begun = len(self._ready)
        try:
            while not future.done():
                if self._is_stuck():
                    if self._parked:
                        # It can only be better.
                        _turned(self._parked.pop(0), goes_on=True)
                        continue
                    if raises:
                        raise RuntimeError(STUCK)
                    break
                if self._parked and not self._is_crowded():
                    _turned(self._parked.pop(0))
                elif self._parked and not self._ready:
                    # It is looked again.
                    self.call_later(PATIENCE, int)
                self._run_once()
                self._looked = self.time()
        finally:
            # Who has called this goes through as many as there were.
            for _ in range(begun - len(self._ready)):
                nothing = asyncio.Handle(_turned, (), self)
                nothing.cancel()
                self._ready.append(nothing)

    def _is_stuck(self):
        """Whether nothing is left that could happen."""
        if self._ready or self._selector.waiting or self._selector.get_map():
            return False
        return all(it._cancelled for it in self._scheduled)

    def others_first(self, gives_back):
        """Awaited by a task before it calls a function that may wait: gives others their turn, as waiting would."""
        if self._are_others_ready():
            yield
            self._looked = self.time()
        task = asyncio.current_task(self)
        while self._waiting and not gives_back and not self._goes_on(task) and self._is_crowded():
            future = self.create_future()
            self._parked.append(future)
            try:
                if (yield from future):
                    break
            finally:
                if future in self._parked:
                    self._parked.remove(future)

    @staticmethod
    def _goes_on(task):
        """Whether others may wait for what it does next: whoever has a connection gives it back."""
        return not isinstance(task, Task) or task._depth or task.holds

    def _is_crowded(self):
        """Whether one more might wait for one that waits itself: for its connection, or for what comes before it has that."""
        depth = len(self._waiting)
        is_deep = depth >= DEEP and self.time() - self._waiting[DEEP - 1][1] < PATIENCE
        is_full = depth >= DEEPEST or not all(task.holds for task, _ in self._waiting)
        return is_deep or is_full or self.is_a_pool_empty()

    def _are_others_ready(self):
        if self._ready:
            return True
        if not (self._scheduled or self._selector.waiting or self._selector.get_map()):
            return False
        now = self.time()
        return abs(now - self._looked) > TURN or bool(self._scheduled and self._scheduled[0]._when <= now)


async def _awaiting(awaitable):
    return await awaitable


def _turned(future, goes_on=False):
    if not future.done():
        future.set_result(goes_on)
