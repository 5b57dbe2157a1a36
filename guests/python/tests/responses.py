"""Responses in parts, for tests: heads that leave before their bodies, and those that nothing follows."""

import asyncio

TEXT = (b"content-type", b"text/plain")
DATA = b"0123456789" * 20_000


def start(status=200, *fields):
    return {"type": "http.response.start", "status": status, "headers": [TEXT, *fields]}


def body(data, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def waits(send):
    await send(start())
    await asyncio.sleep(2)
    await send(body(b"late"))


async def fails(send):
    await send(start())
    raise RuntimeError("between head and body")


async def fails_later(send):
    await send(start())
    await send(body(b"begun", True))
    raise RuntimeError("in the body")


async def leaves(send):
    await send(start())


async def corrects(send, *fields, status=200, pause=None):
    """Sends what cannot be sent, and then says what came of it."""
    try:
        await send(start(status, *fields))
        if pause is not None:
            await asyncio.sleep(pause)
        await send(body(b"12345"))
    except Exception as error:
        text = str(error).encode()
        await send(start(200))
        await send(body(text))


async def twice(send):
    await send(start())
    try:
        await send(start())
    except RuntimeError as error:
        text = str(error).encode()
    await send(body(text))


async def large(send):
    await send(start(200, (b"content-length", b"%d" % len(DATA))))
    await send(body(DATA))


async def untold(send, data):
    await send(start())
    await send(body(data))


async def pieces(send):
    await send(start(200, (b"X-Twice", b"1"), (b"x-twice", b"2")))
    for _ in range(3):
        await send(body(b"piece ", True))
    await send(body(b""))


# Paths, and what answers each.
PATHS = {
    "/waits": waits,
    "/fails": fails,
    "/fails-later": fails_later,
    "/leaves": leaves,
    "/twice": twice,
    "/illegal-field": lambda send: corrects(send, (b"a b", b"c")),
    "/illegal-field-later": lambda send: corrects(send, (b"connection", b"close"), (b"a b", b"c"), pause=0.01),
    "/illegal-value": lambda send: corrects(send, (b"a", b"b\r\nc: d")),
    "/illegal-status": lambda send: corrects(send, status=1000),
    "/longer": lambda send: corrects(send, (b"content-length", b"4")),
    "/shorter": lambda send: corrects(send, (b"Content-Length", b"6")),
    "/large": large,
    "/pieces": pieces,
    "/untold": lambda send: untold(send, DATA),
    "/untold-short": lambda send: untold(send, DATA[:10]),
    "/untold-empty": lambda send: untold(send, b""),
}
