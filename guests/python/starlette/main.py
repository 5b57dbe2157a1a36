"""A Starlette application: routes, a stream, a lifespan and what it keeps."""

import asyncio
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    yield {"greeting": "Hello"}


async def hello(request: Request):
    return PlainTextResponse(f"{request.state.greeting}, {request.path_params['name']}!\n")


async def echo(request: Request):
    return JSONResponse({"you sent": await request.json()})


async def ticks(request: Request):
    async def each():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(each(), media_type="text/plain")


def plain(request: Request):
    return PlainTextResponse("a plain function\n")


class Described:
    """Says what it was asked, a line for each thing; in plain ASGI, for every method."""

    async def __call__(self, scope, receive, send):
        length, more = 0, True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        target = scope["raw_path"] + b"?" * bool(scope["query_string"]) + scope["query_string"]
        lines = [b"path " + target]
        lines += [b"header " + name + b": " + value for name, value in scope["headers"]]
        lines += [b"body %d" % length, b""]
        headers = [(b"content-type", b"text/plain"), (b"x-out", b"lev\xe9")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"\n".join(lines)})


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/ticks", ticks),
        Route("/plain", plain),
        Route("/request/{rest:path}", Described()),
    ],
    lifespan=lifespan,
)
