"""The ASGI scope of a request (ASGI HTTP specification, version 2.4)."""

from urllib.parse import unquote_to_bytes

CLIENT = b"wasmserve-client"
PORTS = {"http": 80, "https": 443}


def of(head, state):
    """The scope, and the first field of each name."""
    common, known = _common(head.scheme, head.authority, head.path_with_query or "/", head.headers, state)
    common["type"] = "http"
    common["method"] = head.method
    return common, known


def of_websocket(opening, state):
    headers = [(name.encode("latin-1"), bytes(value)) for name, value in opening.headers]
    common, _ = _common(opening.scheme, opening.authority, opening.path_with_query, headers, state)
    if opening.client:
        common["client"] = _node(opening.client)
    return {
        **common,
        "type": "websocket",
        "http_version": opening.http_version,
        "scheme": "wss" if opening.scheme == "https" else "ws",
        "subprotocols": list(opening.subprotocols),
        "extensions": {"websocket.http.response": {}},
    }


def _common(scheme, authority, target, headers, state):
    known = dict(reversed(headers))
    # The client as the host knows it. Nobody else can write this field.
    client = known.get(CLIENT)
    if client is not None:
        headers.remove((CLIENT, client))
        client = _node(client.decode("latin-1"))
    if b"host" not in known and authority:
        headers.insert(0, (b"host", authority.encode("latin-1")))
    target = target.encode("latin-1", "replace")
    raw_path, _, query = target.partition(b"?")
    # The host takes the prefix off and says here what it was; ASGI wants both.
    prefix = known.get(b"x-forwarded-prefix", b"").rstrip(b"/")
    raw_path = prefix + raw_path
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    scope = {
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": path.decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": prefix.decode("latin-1"),
        "headers": headers,
        "client": client or _client(known),
        "server": _server(authority, scheme),
        "state": state.copy(),
    }
    return scope, known


def _client(known):
    """Only what the host lets through: it removes these fields where a stranger sends them."""
    named = known.get(b"x-real-ip") or known.get(b"x-forwarded-for", b"").split(b",")[0].strip()
    return _node(named.decode("latin-1")) if named else None


def _node(text):
    """Host and port of a node as proxies write it: `192.0.2.1:80`, `[2001:db8::1]:80`, or without a port."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if colon and port.isdigit() and (bracketed or ":" not in host):
        return host.strip("[]"), int(port)
    return text.strip("[]"), 0


def _server(authority, scheme):
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        host, port = authority, PORTS.get(scheme)
    return (host.strip("[]"), int(port) if port else None) if host else None
