"""The ASGI lifespan protocol: startup before an instance's first request.

A shutdown is never sent while serving, as an instance is not told when it goes.
"""

import asyncio
import sys
import traceback


class StartupFailed(RuntimeError):
    pass


class Lifespan:
    def __init__(self, loop, app):
        self._loop = loop
        self._app = app
        self._task = self._events = self._answers = None
        # Whether the application speaks the protocol at all; one that does not may raise.
        self._spoke = False
        self._error = None
        self.begun = False
        self.state = {}

    async def startup(self):
        self._spoke, self._error = False, None
        self._events = asyncio.Queue()
        self._answers = asyncio.Queue()
        self._task = self._loop.create_task(self._run())
        await self._ask("startup")
        self.begun = True

    async def shutdown(self):
        if self._task is not None and not self._task.done():
            await self._ask("shutdown")

    async def _ask(self, what):
        self._events.put_nowait({"type": f"lifespan.{what}"})
        answer = self._loop.create_task(self._answers.get())
        # An application that knows nothing of this returns or raises, and is not waited for.
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            if self._error is not None:
                raise StartupFailed(self._error)
        elif answer.result()["type"] == f"lifespan.{what}.failed":
            message = answer.result().get("message", "")
            raise StartupFailed(message or self._error or f"the application answered lifespan.{what}.failed")

    async def _run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:
            if not self._spoke:
                return
            self._error = traceback.format_exc()
            if self.begun:
                print("Exception in 'lifespan' protocol\n" + self._error, file=sys.stderr, end="")

    async def _receive(self):
        # Whoever waits for events of the protocol knows it.
        self._spoke = True
        return await self._events.get()

    async def _send(self, message):
        self._spoke = True
        await self._answers.put(message)
