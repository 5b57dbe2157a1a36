"""Bodies: a request's, read as it comes, and a response's, written as the client takes it."""

from componentize_py_types import Err
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import IncomingBody, OutgoingBody

READ = 64 * 1024


class Disconnected(OSError):
    """The client is gone, or what it sent is broken."""


class RequestBody:
    """Also the body of an answer to an outbound request."""

    def __init__(self, loop, message):
        self._loop = loop
        self._message = message
        self._body = self._stream = None
        self.over = False

    async def read(self):
        """The next piece; empty at the end."""
        while (piece := self._try_read()) is None:
            await self._loop.ready(self._stream.subscribe())
        return piece

    def read_blocking(self):
        while (piece := self._try_read()) is None:
            with self._stream.subscribe() as pollable:
                pollable.block()
        return piece

    def _try_read(self):
        if self.over:
            return b""
        if self._stream is None:
            self._body = self._message.consume()
            self._stream = self._body.stream()
        try:
            return self._stream.read(READ) or None
        except Err as error:
            self.close()
            if isinstance(error.value, StreamError_Closed):
                return b""
            raise Disconnected("the body ended early") from None

    def close(self):
        """Gives back what the host lent, children first."""
        self.over = True
        stream, body, self._stream, self._body = self._stream, self._body, None, None
        if stream is not None:
            stream.__exit__(None, None, None)
        if body is not None:
            IncomingBody.finish(body).__exit__(None, None, None)


class BodyWriter:
    """The body of a response or of an outbound request."""

    def __init__(self, loop, body):
        self._loop = loop
        self._body = body
        self._stream = body.write()

    async def write(self, data):
        start = self.write_some(data)
        while start < len(data):
            await self._loop.ready(self._stream.subscribe())
            start = self.write_some(data, start)

    def write_some(self, data, start=0):
        """Writes from a place on as much as there is room for. Returns how far that went."""
        stream, end = self._stream, len(data)
        try:
            while start < end and (room := stream.check_write()):
                stream.write(data[start : start + room])
                start += room
        except Err as error:
            raise Disconnected("the client is gone") from error
        return start

    async def flush(self):
        """Resolves when what was written is on its way."""
        self._call(self._stream.flush)
        while not self._call(self._stream.check_write):
            await self._loop.ready(self._stream.subscribe())

    def write_blocking(self, data):
        start = self.write_some(data)
        while start < len(data):
            with self._stream.subscribe() as pollable:
                pollable.block()
            start = self.write_some(data, start)

    def finish(self):
        """Only a body that is finished is whole."""
        body = self._take()
        if body is not None:
            try:
                OutgoingBody.finish(body, None)
            except Err as error:
                raise Disconnected("the body is not as long as announced") from error

    def abandon(self):
        """Leaves the body unfinished, which the client sees."""
        body = self._take()
        if body is not None:
            body.__exit__(None, None, None)

    def _take(self):
        stream, body, self._stream, self._body = self._stream, self._body, None, None
        if stream is not None:
            stream.__exit__(None, None, None)
        return body

    @staticmethod
    def _call(function, *args):
        try:
            return function(*args)
        except Err as error:
            raise Disconnected("the client is gone") from error
