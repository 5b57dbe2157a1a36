"""One request and its response, as an ASGI application sees them."""

import asyncio
import sys
import traceback

from componentize_py_types import Err, Ok
from wit_world.imports import exchange as at_once
from wit_world.imports.types import Fields, OutgoingResponse, ResponseOutparam

from . import headers, scope
from .body import BodyWriter, Disconnected, RequestBody

# Neither has a body, whatever its head says (RFC 9110, section 6.4.1).
BODILESS = (204, 304)
# The host takes a response whole that has a body of so many bytes at most.
WHOLE = 64 * 1024


class Exchange:
    def __init__(self, loop, request, outparam, state):
        self.loop = loop
        self.scope, known = scope.of(at_once.head_of(request), state)
        self._request = request
        self._outparam = outparam
        self._body = None
        self._left = _length(known.get(b"content-length"))
        self._asked = False
        # The status, once the application has said it.
        self._start = None
        # The fields, where they are not sent yet, and why they could not be.
        self._fields = self._unsendable = None
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
            if self._unsendable is not None:
                raise self._unsendable
            if self._start is None:
                print(f"{kind} callable returned without starting response.", file=sys.stderr)
            elif not self._is_over and not self._gone:
                print(f"{kind} callable returned without completing response.", file=sys.stderr)
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
        if self._unsendable is not None:
            error, self._unsendable = self._unsendable, None
            raise error
        if kind == "http.response.start":
            if self._start is not None:
                raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already started.")
            self._begin(message["status"], message.get("headers", ()))
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

    def _begin(self, status, fields):
        """Keeps the head until there is a body to send with it, or something is waited for."""
        self._fields = headers.end_to_end(fields)
        self._start = status
        self.loop.before_waiting(self._send_head_first)

    def _has_body(self):
        return self.scope["method"] != "HEAD" and self._start not in BODILESS

    def _respond(self, data):
        """Sends a whole response, in one call of the host."""
        fields = self._take_fields()
        try:
            at_once.respond(self._outparam, self._start, fields, data if self._has_body() else None)
        except Err as error:
            self._outparam = error.value.response_out
            status, self._start = self._start, None
            raise _error(error.value.problem, status, fields) from None
        self._outparam = None
        self._finished()

    def _tell_length(self, length):
        """Has the head say how long the whole body is, where the host would not know: it is long, or nobody is sent it."""
        is_known = length <= WHOLE and self.scope["method"] != "HEAD"
        if length and not is_known and self._start not in BODILESS:
            if not any(name == b"content-length" for name, _ in self._fields):
                self._fields.append((b"content-length", b"%d" % length))

    def _take_fields(self):
        fields, self._fields = self._fields, None
        self.loop.before_waiting(None)
        return fields

    def _send_head_first(self):
        try:
            self._send_head()
        except Exception as error:
            self._unsendable = error

    def _send_head(self):
        """Sends the head of a response whose body is still to come."""
        status, self._start = self._start, None
        given = self._take_fields()
        fields = [(name.decode("latin-1"), value) for name, value in given]
        try:
            response = OutgoingResponse(Fields.from_list(fields))
            # A response begins with this one.
            if status != 200:
                response.set_status_code(status)
        except Err as error:
            raise _error(error.value and at_once.Problem_Header(error.value), status, given) from None
        self._start = status
        # Without a body of its own the response may announce a length that it does not have.
        if self._has_body():
            self._expected = _content_length(fields)
            self._writer = BodyWriter(self.loop, response.body())
        ResponseOutparam.set(self._outparam, Ok(response))
        self._outparam = None

    async def _send_body(self, data, more):
        if self._fields is not None:
            if not more:
                self._tell_length(len(data))
                if len(data) <= WHOLE:
                    self._respond(data)
                    return
            self._send_head()
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
        if self._outparam is not None and not self._gone:
            text = b"Internal Server Error"
            self._begin(500, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))])
            self._respond(text)
        self.loop.before_waiting(None)
        if self._writer is not None:
            self._writer.abandon()
        self._finished()
        if self._body is not None:
            self._body.close()
        self._request.__exit__(None, None, None)


def _content_length(fields):
    """As the host has fields, in lower case."""
    return next((_length(value) for name, value in fields if name == "content-length"), None)


def _length(value):
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


def _error(problem, status, fields):
    match problem:
        case at_once.Problem_Header():
            illegal = b", ".join(name for name, value in fields if not _is_legal(name, value))
            return RuntimeError(f"a field of the response cannot be sent: {illegal.decode('latin-1')!r}")
        case at_once.Problem_Longer():
            return RuntimeError("Response content longer than Content-Length")
        case at_once.Problem_Shorter():
            return RuntimeError("Response content shorter than Content-Length")
        case _:
            return RuntimeError(f"a response cannot have the status {status}")


def _is_legal(name, value):
    try:
        Fields.from_list([(name.decode("latin-1"), value)])
    except Err:
        return False
    return True
