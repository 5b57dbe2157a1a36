"""One WebSocket, as an ASGI application sees it (ASGI WebSocket specification, version 2.4)."""

import asyncio
import sys
import traceback

from componentize_py_types import Err
from wit_world.imports.connections import Message_Binary, Message_Text

from . import headers, scope
from .body import Disconnected
from .wsgi import WsgiApp

CONNECTING, RESPONDING, OPEN, CLOSED = "connecting", "responding", "open", "closed"
NORMAL, ABNORMAL, FAILED = 1000, 1006, 1011
ERROR = b"Internal Server Error"


class WebSocket:
    def __init__(self, loop, opening, connection, state):
        self._loop = loop
        self.scope = scope.of_websocket(opening, state)
        self._connection = connection
        self._state = CONNECTING
        self._connected = False
        self._closed = None
        self._response = None
        # One waits for a message, and the others for the one that waits.
        self._turn = asyncio.Lock()

    async def run(self, app):
        try:
            if isinstance(app, WsgiApp):
                await self._as_request(app)
            else:
                await app(self.scope, self.receive, self.send)
            if self._state == CONNECTING:
                print("ASGI callable returned without sending handshake.", file=sys.stderr)
        except Disconnected:
            pass
        except Exception:
            print("Exception in ASGI application\n" + traceback.format_exc(), file=sys.stderr, end="")
            if self._state == OPEN:
                self._connection.close(FAILED, "")
        finally:
            self._end()

    async def receive(self):
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        async with self._turn:
            while self._closed is None:
                try:
                    message = self._connection.receive()
                except Err as error:
                    closed = error.value
                    self._closed = (closed.code, closed.reason)
                    self._state = CLOSED
                    break
                if message is None:
                    await self._loop.ready(self._connection.subscribe_receive())
                elif isinstance(message, Message_Text):
                    return {"type": "websocket.receive", "text": message.value}
                else:
                    return {"type": "websocket.receive", "bytes": message.value}
        code, reason = self._closed
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    async def send(self, message):
        kind = message["type"]
        match self._state, kind:
            case "connecting", "websocket.accept":
                self._accept(message)
            case "connecting", "websocket.close":
                self._reject(403, (), b"")
            case "connecting", "websocket.http.response.start":
                self._response = (message["status"], message.get("headers", ()), bytearray())
                self._state = RESPONDING
            case "responding", "websocket.http.response.body":
                status, fields, body = self._response
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    self._reject(status, fields, bytes(body))
            case "open", "websocket.send":
                await self._send(message)
            case "open", "websocket.close":
                code, reason = message.get("code", NORMAL), message.get("reason") or ""
                self._connection.close(NORMAL if code is None else code, reason)
                self._closed = self._closed or (code, reason)
                self._state = CLOSED
            case "closed", "websocket.send" | "websocket.close" if self._closed is not None:
                if kind == "websocket.send":
                    raise Disconnected("the client is gone")
            case _:
                raise RuntimeError(f"Unexpected ASGI message '{kind}', while the WebSocket is {self._state}.")

    def _accept(self, message):
        fields = headers.for_websocket(message.get("headers") or ())
        try:
            self._connection.accept(message.get("subprotocol"), fields)
        except Err as error:
            raise RuntimeError(f"the WebSocket cannot be accepted so: {error.value}") from None
        self._state = OPEN

    def _reject(self, status, fields, body):
        fields = headers.for_websocket(fields)
        try:
            self._connection.reject(status, fields, body)
        except Err as error:
            raise RuntimeError(f"the WebSocket cannot be rejected so: {error.value}") from None
        self._closed = (ABNORMAL, "")
        self._state = CLOSED

    async def _send(self, message):
        data, text = message.get("bytes"), message.get("text")
        sent = Message_Text(text) if data is None else Message_Binary(bytes(data))
        await self._loop.ready(self._connection.subscribe_send())
        try:
            self._connection.send(sent)
        except Err:
            raise Disconnected("the client is gone") from None

    async def _as_request(self, app):
        """WSGI knows no WebSockets: its answer to the request is that of any other."""
        request = {**self.scope, "type": "http", "method": "GET", "scheme": self.scope["scheme"].replace("ws", "http")}

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            await self.send({**message, "type": "websocket." + message["type"]})

        await app(request, receive, send)

    def _end(self):
        """Whatever happened: the client gets an answer, and the host has its connection back."""
        if self._state in (CONNECTING, RESPONDING):
            fields = [(b"content-type", b"text/plain; charset=utf-8")]
            self._reject(500, fields, ERROR)
        self._connection.__exit__(None, None, None)
