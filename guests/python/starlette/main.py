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


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/ticks", ticks),
        Route("/plain", plain),
    ],
    lifespan=lifespan,
)
