"""An ASGI application for tests, without a framework: one component that is asked for many things, because each takes a
minute to be built and compiled."""

import re
import sqlite3
from urllib.parse import parse_qs

import chance
import failures
import native
import objects
import recursion
import resources
import responses
import starts
import temporary
import transactions


async def lifespan(scope, receive, send):
    await receive()
    if await failures.ends_the_start(send):
        return
    try:
        await starts.start(scope["state"])
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()


async def read(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(scope, receive):
    path, query = scope["path"], parse_qs(scope["query_string"].decode())
    if path in chance.PATHS:
        return repr(chance.PATHS[path]())
    if path in native.PATHS:
        return native.answer(path, query, await read(receive))
    if (text := await transactions.answer(path, query)) is not None:
        return text
    if (text := starts.answer(path, scope["state"])) is not None:
        return text
    if (text := recursion.answer(path)) is not None:
        return text
    if (text := await temporary.answer(path)) is not None:
        return text
    if path == "/backtracks":
        # It takes twice as long for each further letter.
        return str(re.match(r"(a+)+$", "a" * 60 + "b"))
    if path == "/immortal":
        return objects.immortal()
    if path == "/resources":
        return resources.answer()
    return failures.answer(path, scope)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    starts.requests += 1
    if scope["path"] in responses.PATHS:
        return await responses.PATHS[scope["path"]](send)
    try:
        text, status = await answer(scope, receive), 200
    except sqlite3.Error as error:
        text, status = repr(error), 500
    body = text.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
