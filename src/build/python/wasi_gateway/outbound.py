"""Requests to other servers through the host: httpx and httpx2, whose transports are replaced by these."""

import importlib
import importlib.util

from componentize_py_types import Err
from wit_world.imports import outgoing_handler, types

from . import headers
from .body import BodyWriter, Disconnected, RequestBody

METHODS = {
    "GET": types.Method_Get,
    "HEAD": types.Method_Head,
    "POST": types.Method_Post,
    "PUT": types.Method_Put,
    "DELETE": types.Method_Delete,
    "OPTIONS": types.Method_Options,
    "PATCH": types.Method_Patch,
}
# httpx2 is what the clients of OpenAI and Anthropic use.
LIKE_HTTPX = ("httpx", "httpx2")
SCHEMES = {"http": types.Scheme_Http, "https": types.Scheme_Https}


class Refused(OSError):
    """What the host answered instead of a response."""

    def __init__(self, code):
        self.code = code
        kind = type(code).__name__.removeprefix("ErrorCode_")
        detail = getattr(code, "value", None)
        super().__init__(f"{kind}: {detail}" if detail else kind)


class Call:
    """One request and, in time, its response."""

    def __init__(self, loop, method, scheme, authority, target, fields, timeouts):
        self._loop = loop
        kept = headers.for_host(fields)
        # Another host than that of the URL is named as the application has it.
        named = [bytes(value) for name, value in fields if bytes(name).lower() == b"host"]
        kept += [("wasmserve-host", value) for value in named if value.lower() != authority.lower().encode()]
        request = types.OutgoingRequest(types.Fields.from_list(kept))
        try:
            request.set_method(METHODS[method]() if method in METHODS else types.Method_Other(method))
            request.set_scheme(SCHEMES[scheme]())
            request.set_authority(authority)
            request.set_path_with_query(target)
        except Err:
            raise Refused(types.ErrorCode_HttpRequestUriInvalid()) from None
        self.body = BodyWriter(loop, request.body())
        try:
            self._future = outgoing_handler.handle(request, _options(timeouts))
        except Err as error:
            raise Refused(error.value) from None

    async def response(self):
        while (response := self._future.get()) is None:
            await self._loop.ready(self._future.subscribe())
        return self._taken(response)

    def response_blocking(self):
        while (response := self._future.get()) is None:
            with self._future.subscribe() as pollable:
                pollable.block()
        return self._taken(response)

    def _taken(self, outer):
        self._future.__exit__(None, None, None)
        inner = outer.value
        if isinstance(inner, Err):
            raise Refused(inner.value)
        response = inner.value
        with response.headers() as fields:
            entries = [(name.encode("latin-1"), value) for name, value in fields.entries()]
        return response.status(), entries, RequestBody(self._loop, response), response


def _options(timeouts):
    options = types.RequestOptions()
    for name, seconds in timeouts.items():
        if seconds is not None:
            getattr(options, f"set_{name}_timeout")(int(seconds * 1e9))
    return options


def install(loop):
    for name in LIKE_HTTPX:
        if importlib.util.find_spec(name) is not None:
            from . import outbound_httpx

            outbound_httpx.install(importlib.import_module(name), loop, Call, Refused, Disconnected)
