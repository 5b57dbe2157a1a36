"""What goes wrong when an application starts and later, for tests, and whom it thinks it talks to. What happens is chosen by
a variable, and later by a file."""

import asyncio
import logging
import os
import traceback


async def ends_the_start(send):
    """Whether a start fails here, by an exception or by what it says."""
    how = os.environ.get("FAILS", "")
    if os.path.exists("/state/broken"):
        how = "raise"
    if how == "raise":
        raise RuntimeError("no database")
    if how == "say":
        await send({"type": "lifespan.startup.failed", "message": "the queue is gone"})
    if how == "leave":
        await send({"type": "lifespan.startup.failed"})
    return how in ("say", "leave")


async def fails():
    await asyncio.sleep(0.01)
    raise LookupError("in the background")


def speaks_below():
    raise ValueError("beneath")


def answer(path, scope):
    if path == "/client":
        own = [name for name, _ in scope["headers"] if name.startswith(b"wasmserve")]
        return f"{scope['client']} {own}"
    if path == "/boom":
        speaks_below()
    if path == "/print":
        try:
            speaks_below()
        except ValueError:
            traceback.print_exc()
    if path == "/log":
        logging.basicConfig(level=logging.INFO)
        logging.info("a word by the way")
        logging.getLogger("shop").warning("a warning")
    if path == "/task":
        asyncio.create_task(fails())
    return "ok"
