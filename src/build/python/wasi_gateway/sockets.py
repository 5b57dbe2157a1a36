"""Sockets that tell what is not there: which rule of the server's would allow a peer, and that nobody can listen."""

import errno
import select
import socket

import _socket

# There is no other name: the C library has `(none)`, which libraries for mail would look up.
HERE = "localhost"
LOOPBACK = "127.0.0.1"

LISTENS = "a component cannot listen: it is the host that takes connections, and answers them by the application"


def install():
    names, peers = {}, {}
    looked_up = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        text = host.decode() if isinstance(host, bytes) else host
        try:
            found = looked_up(host, port, *args, **kwargs)
        except OSError as error:
            if text is None:
                raise
            raise unknown(text, port if isinstance(port, int) else "PORT", error) from None
        for *_, address in found if text else ():
            names[address[0]] = text
        return found

    def unknown(name, port, error):
        """What those expect who look names up, libraries among them."""
        rule = f"--allow-net {name}:{port}"
        if not isinstance(error, socket.gaierror):
            return socket.gaierror(socket.EAI_FAIL, f"no rule of the server's names {name}; {rule} would")
        detail = f"{error.args[-1]}; where no rule of the server's names it, {rule} would"
        return socket.gaierror(error.args[0], f"{name}: {detail}")

    def by_name(function, itself):
        """The same function, which does not ask for the name that this program has itself."""

        def called(name):
            if name == HERE:
                return itself
            try:
                return function(name)
            except OSError as error:
                raise unknown(name, "PORT", error) from None

        called.__name__ = function.__name__
        return called

    def denied(address):
        if not isinstance(address, tuple) or len(address) < 2:
            return PermissionError(errno.EACCES, f"{address!r}: a component reaches TCP and UDP, and no Unix sockets")
        host = names.get(address[0], address[0])
        peer = f"{f'[{host}]' if ':' in host else host}:{address[1]}"
        return PermissionError(errno.EACCES, f"no rule of the server's allows {peer}; --allow-net {peer} would")

    def of(name, at):
        """The same function, that says which rule is missing. The address is its argument at this place."""
        function = getattr(_socket.socket, name)

        def called(self, *args):
            try:
                return function(self, *args)
            except PermissionError:
                raise denied(args[at]) from None

        called.__name__ = name
        setattr(socket.socket, name, called)

    of("sendto", -1)
    of("connect", 0)
    reached, init, close = socket.socket.connect, socket.socket.__init__, socket.socket._real_close

    def connect(self, address):
        peers.pop(self.fileno(), None)
        try:
            reached(self, address)
            peers[self.fileno()] = _socket.socket.getpeername(self)
        except BlockingIOError:
            # Others than asyncio, which looks names up before, are told by the C library.
            if names.get(address[0]) is not None or address[0].replace(".", "").isdigit() or ":" in address[0]:
                peers[self.fileno()] = address
            raise

    def begun(self, family=-1, type=-1, proto=-1, fileno=None):
        init(self, family, type, proto, fileno)
        if fileno is None:
            peers.pop(self.fileno(), None)

    def real_close(self, *args):
        peers.pop(self.fileno(), None)
        close(self, *args)

    def connect_ex(self, address):
        number = _socket.socket.connect_ex(self, address)
        if number in (errno.EACCES, errno.EPERM):
            raise denied(address)
        return number

    def bind(self, address):
        try:
            return _socket.socket.bind(self, address)
        except PermissionError:
            raise PermissionError(errno.EACCES, LISTENS) from None

    def listen(self, *args):
        raise PermissionError(errno.EACCES, LISTENS)

    def getpeername(self):
        # The C library ends the program where the peer has gone already, so it is asked only before.
        if (address := peers.get(self.fileno())) is None:
            return _socket.socket.getpeername(self)
        asked = select.poll()
        asked.register(self.fileno(), select.POLLOUT)
        if not asked.poll(0):
            raise OSError(errno.ENOTCONN, "it is not connected yet")
        return address

    socket.getaddrinfo = getaddrinfo
    socket.gethostname = lambda: HERE
    socket.gethostbyname = by_name(socket.gethostbyname, LOOPBACK)
    for function in (socket.gethostbyname_ex, socket.gethostbyaddr):
        setattr(socket, function.__name__, by_name(function, (HERE, [], [LOOPBACK])))
    socket.socket.__init__, socket.socket._real_close = begun, real_close
    for function in (connect, connect_ex, bind, listen, getpeername):
        setattr(socket.socket, function.__name__, function)
