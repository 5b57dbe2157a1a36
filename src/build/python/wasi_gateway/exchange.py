"""One request and its response, as an ASGI application sees them."""

import asyncio
import sys
import traceback

from componentize_py_types import Ok
from wit_world.imports.types import Fields, OutgoingResponse, ResponseOutparam

from . import headers, scope
from .body import BodyWriter, Disconnected, RequestBody

# Neither has a body, whatever its head says (RFC 9110, section 6.4.1).
BODILESS = (204, 304)


class Exchange:
    def __init__(self, loop, request, outparam, state):
        self.loop = loop
        self.scope = scope.of(request, state)
        self._request = request
        self._outparam = outparam
        self._body = None
        self._left = _content_length(self.scope["headers"])
        self._asked = False
        self._start = None
        self._writer = None
        self._written = 0
        self._expected = None
        self._is_over = False
        # Done when it is over; there where somebody waits for that.
        self._over = None
        self._gone = False

    async def run(self, app):
        kind = getattr(app, "INTERFACE", "ASGI")
        try:
            await app(self.scope, self.receive, self.send)
            if self._start is None:
                print(f"{kind} callable returned without starting response.", file=sys.stderr)
        except Disconnected:
            pass
        except Exception:
            print(f"Exception in {kind} application\n" + traceback.format_exc(), file=sys.stderr, end="")
        finally:
            await self._end()

    async def receive(self):
        if self._gone or self._is_over:
            return {"type": "http.disconnect"}
        if self._asked:
            await self._ended()
            return {"type": "http.disconnect"}
        if self._body is None:
            self._body = RequestBody(self.loop, self._request)
        try:
            piece = b"" if self._left == 0 else await self._body.read()
        except Disconnected:
            self._gone = True
            return {"type": "http.disconnect"}
        if self._left is not None:
            self._left -= len(piece)
        more = bool(piece) and self._left != 0
        self._asked = not more
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(self, message):
        kind = message["type"]
        if self._gone:
            raise Disconnected("the client is gone")
        if kind == "http.response.start":
            if self._start is not None:
                raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already started.")
            self._send_head(message["status"], message.get("headers", ()))
        elif kind == "http.response.body":
            if self._start is None:
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            if self._is_over:
                raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
            try:
                await self._send_body(bytes(message.get("body", b"")), message.get("more_body", False))
            except Disconnected:
                self._gone = True
                self._finished()
                raise
        else:
            raise RuntimeError(f"Unexpected ASGI message '{kind}'.")

    def _send_head(self, status, fields):
        fields = headers.for_host(fields)
        response = OutgoingResponse(Fields.from_list(fields))
        # A response begins with this one.
        if status != 200:
            response.set_status_code(status)
        self._start = status
        # Without a body of its own the response may announce a length that it does not have.
        if self.scope["method"] != "HEAD" and status not in BODILESS:
            self._expected = _content_length(fields, "content-length")
            self._writer = BodyWriter(self.loop, response.body())
        ResponseOutparam.set(self._outparam, Ok(response))
        self._outparam = None

    async def _send_body(self, data, more):
        if self._writer is not None:
            self._written += len(data)
            if self._expected is not None and self._written > self._expected:
                raise RuntimeError("Response content longer than Content-Length")
            if data and (start := self._writer.write_some(data)) < len(data):
                await self._writer.write(data[start:])
            if more:
                await self._writer.flush()
        if not more:
            if self._writer is not None:
                if self._expected is not None and self._written != self._expected:
                    raise RuntimeError("Response content shorter than Content-Length")
                self._writer.finish()
            self._finished()

    def _ended(self):
        if self._over is None:
            self._over = self.loop.create_future()
        return asyncio.shield(self._over)

    def _finished(self):
        self._is_over = True
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def _end(self):
        """Whatever happened: the client gets an answer, or sees that there is none."""
        if self._start is None and not self._gone:
            text = b"Internal Server Error"
            fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
            try:
                self._send_head(500, fields)
                await self._send_body(text, False)
            except Disconnected:
                pass
        if self._writer is not None:
            self._writer.abandon()
        self._finished()
        if self._body is not None:
            self._body.close()
        self._request.__exit__(None, None, None)


def _content_length(fields, called=b"content-length"):
    """As the host has fields, in lower case."""
    for name, value in fields:
        if name == called:
            try:
                return int(value)
            except ValueError:
                return None
    return None
