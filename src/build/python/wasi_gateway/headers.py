"""Which fields of a response are the host's to write (RFC 9110, section 7.6.1)."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"host",
    )
)


def for_websocket(headers):
    """The same for the answer to a handshake, whose own fields the host writes."""
    return [
        (name, value)
        for name, value in for_host(headers)
        if name != "content-length" and not name.startswith("sec-websocket-")
    ]


def for_host(headers):
    """The fields of an ASGI message as `wasi:http/types` takes them."""
    return [(name.decode("latin-1"), value) for name, value in end_to_end(headers)]


def end_to_end(headers):
    """Those that are not the host's, in lower case."""
    fields = []
    for name, value in headers:
        name = bytes(name).lower()
        if name not in HOP_BY_HOP:
            fields.append((name, bytes(value)))
    return fields
