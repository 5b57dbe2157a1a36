"""httpx's transports over WASI HTTP, and those of httpx2, which is like it: the application's clients stay as they are."""


def install(httpx, loop, Call, Refused, Disconnected):
    def begun(request):
        waits = request.extensions.get("timeout", {})
        timeouts = {"connect": waits.get("connect"), "first_byte": waits.get("read"), "between_bytes": waits.get("read")}
        url = request.url
        if url.scheme not in ("http", "https"):
            has = f"has an unsupported protocol '{url.scheme}://'." if url.scheme else "is missing an 'http://' or 'https://' protocol."
            raise httpx.UnsupportedProtocol(f"Request URL {has}", request=request)
        fields = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        length = [(name, value) for name, value in request.headers.raw if name.lower() == b"content-length"]
        return Call(
            loop,
            request.method,
            url.scheme,
            url.netloc.decode("ascii"),
            url.raw_path.decode("ascii"),
            fields + length,
            timeouts,
        )

    def failure(error, request):
        kind = type(getattr(error, "code", None)).__name__
        if "Timeout" in kind:
            error_type = httpx.ConnectTimeout if "ConnectionTimeout" in kind else httpx.ReadTimeout
        elif "Connection" in kind or "Destination" in kind or "Dns" in kind or "Tls" in kind or "Denied" in kind:
            error_type = httpx.ConnectError
        else:
            error_type = httpx.ReadError if isinstance(error, Disconnected) else httpx.RemoteProtocolError
        return error_type(str(error), request=request)

    class AsyncBody(httpx.AsyncByteStream):
        def __init__(self, body, response, request):
            self._body, self._response, self._request = body, response, request

        async def __aiter__(self):
            try:
                while piece := await self._body.read():
                    yield piece
            except Disconnected as error:
                raise failure(error, self._request) from None

        async def aclose(self):
            self._body.close()
            self._response.__exit__(None, None, None)

    class Body(httpx.SyncByteStream):
        def __init__(self, body, response, request):
            self._body, self._response, self._request = body, response, request

        def __iter__(self):
            try:
                while piece := self._body.read_blocking():
                    yield piece
            except Disconnected as error:
                raise failure(error, self._request) from None

        def close(self):
            self._body.close()
            self._response.__exit__(None, None, None)

    async def handle_async_request(self, request):
        try:
            call = begun(request)
            async for piece in request.stream:
                await call.body.write(piece)
            call.body.finish()
            status, fields, body, response = await call.response()
        except (Refused, Disconnected) as error:
            raise failure(error, request) from None
        return httpx.Response(status, headers=fields, stream=AsyncBody(body, response, request))

    def handle_request(self, request):
        try:
            call = begun(request)
            for piece in request.stream:
                call.body.write_blocking(piece)
            call.body.finish()
            status, fields, body, response = call.response_blocking()
        except (Refused, Disconnected) as error:
            raise failure(error, request) from None
        return httpx.Response(status, headers=fields, stream=Body(body, response, request))

    def nothing(self, *args, **kwargs):
        return None

    async def nothing_async(self, *args, **kwargs):
        return None

    def itself(self):
        return self

    async def itself_async(self):
        return self

    for kind, members in (
        (
            httpx.AsyncHTTPTransport,
            {
                "handle_async_request": handle_async_request,
                "aclose": nothing_async,
                "__aenter__": itself_async,
                "__aexit__": nothing_async,
            },
        ),
        (
            httpx.HTTPTransport,
            {"handle_request": handle_request, "close": nothing, "__enter__": itself, "__exit__": nothing},
        ),
    ):
        kind.__init__ = nothing
        for name, member in members.items():
            setattr(kind, name, member)
