"""The module `_ssl`, on which CPython's own `ssl` stands: TLS as a client speaks it, by the host.

The host has sessions that are functions of bytes (wasmserve:tls). What moves the bytes is a socket or a pair of memory
buffers, as in CPython. A server's side of TLS there is not.
"""

import os
import re
import sys
import types
import weakref

import _socket
from componentize_py_types import Err

from . import certificates
from .tls_names import (
    ALERTS,
    CIPHERS,
    NAMES,
    OBJECTS,
    SSLCertVerificationError,
    SSLEOFError,
    SSLError,
    SSLSyscallError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
)

# The public authorities as a package brings them along. Who names that file wants whom everybody believes.
PUBLIC = ("certifi/cacert.pem", "certifi\\cacert.pem")
PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----", re.DOTALL)
MOST = 65536
# Those that have a session of the host's.
LIVE = weakref.WeakSet()
VERSIONS = {"TLS12": "TLSv1.2", "TLS13": "TLSv1.3"}
OLDEST = {NAMES["PROTOCOL_TLSv1"], NAMES["PROTOCOL_TLSv1_1"]}


def failed(kind, number, reason, text):
    error = kind(number, f"[SSL: {reason}] {text}" if reason else text)
    error.library, error.reason = "SSL", reason
    return error


def want_read():
    return failed(SSLWantReadError, NAMES["SSL_ERROR_WANT_READ"], None, "The operation did not complete (read)")


def want_write():
    return failed(SSLWantWriteError, NAMES["SSL_ERROR_WANT_WRITE"], None, "The operation did not complete (write)")


def eof():
    reason = "UNEXPECTED_EOF_WHILE_READING"
    return failed(SSLEOFError, NAMES["SSL_ERROR_EOF"], reason, "EOF occurred in violation of protocol")


def told(error):
    """What the host says, as OpenSSL would say it."""
    kind = type(error).__name__.removeprefix("Error_")
    text = error.value
    if kind == "Certificate":
        raised = failed(SSLCertVerificationError, 1, "CERTIFICATE_VERIFY_FAILED", f"certificate verify failed: {text}")
        raised.verify_message = text
        return raised
    if kind == "Alert":
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).upper()
        name = {"UNKNOWN_CA": name, "UNKNOWN_C_A": "UNKNOWN_CA"}.get(name, name)
        return failed(SSLError, 1, f"TLSV1_ALERT_{name}" if name in ALERTS else None, f"the server sent the alert {text}")
    return failed(SSLError, 1, None, text)


def opened(settings):
    """A session of the host's."""
    from wit_world.imports import client

    try:
        return client.Session.open(settings)
    except Err as error:
        raise told(error.value) from None


def leave():
    """Gives the host back what it has, of sessions that nobody ends."""
    # Nothing that costs much is asked in each request.
    if not LIVE.data:
        return
    for it in list(LIVE):
        it._session.__exit__(None, None, None)
    LIVE.clear()


class MemoryBIO:
    def __init__(self):
        self._data, self._ended = bytearray(), False

    @property
    def pending(self):
        return len(self._data)

    @property
    def eof(self):
        return self._ended and not self._data

    def read(self, size=-1):
        size = len(self._data) if size is None or size < 0 else size
        read = bytes(self._data[:size])
        del self._data[:size]
        return read

    def write(self, data):
        if self._ended:
            raise failed(SSLError, 1, None, "cannot write() after write_eof()")
        data = bytes(data)
        self._data += data
        return len(data)

    def write_eof(self):
        self._ended = True


class Buffers:
    """Two of them move the bytes."""

    def __init__(self, incoming, outgoing):
        self._incoming, self._outgoing = incoming, outgoing

    def pull(self):
        """What has come, `b""` at the end."""
        data = self._incoming.read(MOST)
        if not data and not self._incoming.eof:
            raise want_read()
        return data

    def push(self, data):
        """How much was taken."""
        return self._outgoing.write(data)


class Socket:
    """A socket moves the bytes, and waits for as long as it is told to."""

    def __init__(self, socket):
        self._socket = socket

    def pull(self):
        try:
            return _socket.socket.recv(self._socket, MOST)
        except BlockingIOError:
            raise want_read() from None
        except TimeoutError:
            raise TimeoutError("The read operation timed out") from None

    def push(self, data):
        try:
            return _socket.socket.send(self._socket, data)
        except BlockingIOError:
            return 0
        except TimeoutError:
            raise TimeoutError("The write operation timed out") from None


class _SSLSocket:
    """One session, and what moves its bytes."""

    session_reused = server_side = False
    session = None

    def __init__(self, context, host, owner, mover):
        self.context, self.owner, self.server_hostname = context, owner, host
        self._mover = mover
        self._settings = context._settings(host)
        self._session = self._agreed = None
        self._plaintext, self._unsent = bytearray(), bytearray()
        self._ended = self._closed = False

    def do_handshake(self):
        if self._session is None:
            self._session = opened(self._settings)
            LIVE.add(self)
        while (agreed := self._session.negotiated()) is None:
            self._flush_all()
            data = self._mover.pull()
            if not data:
                raise eof()
            self._feed(data)
        self._flush_all()
        self._agreed = agreed

    def read(self, size, buffer=None):
        self._begun()
        if size < 0:
            raise ValueError("size should not be negative")
        self._flush()
        while size and not self._plaintext and not self._ended:
            data = self._mover.pull()
            if not data:
                raise eof()
            self._feed(data)
            self._flush()
        if buffer is not None:
            with memoryview(buffer) as view:
                size = min(size or view.nbytes, view.nbytes)
                read = self._plaintext[:size]
                view.cast("B")[: len(read)] = read
        else:
            read = bytes(self._plaintext[:size])
        del self._plaintext[: len(read)]
        return read if buffer is None else len(read)

    def write(self, data):
        self._begun()
        if self._closed:
            raise failed(SSLZeroReturnError, 6, None, "TLS/SSL connection has been closed (EOF)")
        self._flush_all()
        with memoryview(data) as view:
            piece = bytes(view.cast("B")[:MOST])
        taken = self._session.send(piece) if piece else 0
        # What is taken is sent, in time: at the next call where the socket has no room.
        self._flush()
        return taken

    def shutdown(self):
        self._begun()
        if not self._closed:
            self._closed = True
            self._session.close()
        self._flush_all()
        while not self._ended:
            data = self._mover.pull()
            # Most servers hang up instead of answering.
            if not data:
                break
            self._feed(data)
            self._plaintext.clear()
        return self.owner

    def pending(self):
        return len(self._plaintext)

    def _begun(self):
        if self._agreed is None:
            self.do_handshake()

    def _feed(self, data):
        while data and not self._ended:
            try:
                received = self._session.receive(data)
            except Err as error:
                # The server is told why, if it still listens.
                try:
                    self._flush()
                except OSError:
                    pass
                raise told(error.value) from None
            self._plaintext += received.plaintext
            self._ended = received.ended
            data = data[received.taken :]

    def _flush(self):
        """Sends what there is to send, as far as there is room; whether all of it went."""
        self._unsent += self._session.take()
        while self._unsent:
            sent = self._mover.push(self._unsent)
            if not sent:
                return False
            del self._unsent[:sent]
        return True

    def _flush_all(self):
        if not self._flush():
            raise want_write()

    def _needs_agreement(self):
        if self._agreed is None:
            raise ValueError("handshake not done yet")
        return self._agreed

    def getpeercert(self, binary_form=False):
        found = self._needs_agreement().certificates
        if not found:
            return None
        if binary_form:
            return bytes(found[0])
        return certificates.described(bytes(found[0])) if self.context.verify_mode else {}

    def get_unverified_chain(self):
        return [Certificate(bytes(it)) for it in self._needs_agreement().certificates]

    get_verified_chain = get_unverified_chain

    def selected_alpn_protocol(self):
        agreed = self._agreed and self._agreed.protocol
        return bytes(agreed).decode() if agreed else None

    def version(self):
        return VERSIONS[self._agreed.version.name] if self._agreed else None

    def cipher(self):
        if self._agreed is None:
            return None
        return self._agreed.cipher_suite, self.version(), CIPHERS.get(self._agreed.cipher_suite, 128)

    def shared_ciphers(self):
        return None

    compression = shared_ciphers

    def get_channel_binding(self, kind="tls-unique"):
        if kind != "tls-unique":
            raise ValueError(f"{kind} channel binding type not implemented")

    def verify_client_post_handshake(self):
        raise NotImplementedError("a component is no TLS server")


class Certificate:
    def __init__(self, der):
        self._der = der

    def public_bytes(self, format=NAMES["ENCODING_PEM"]):
        return self._der if format == NAMES["ENCODING_DER"] else pem_of(self._der)

    def get_info(self):
        return certificates.described(self._der)


def pem_of(der):
    import base64

    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


class SSLSession:
    """Sessions are resumed by nobody."""


class _SSLContext:
    def __new__(cls, protocol):
        if protocol in OLDEST:
            raise ValueError("the host speaks TLS 1.2 and 1.3")
        self = object.__new__(cls)
        is_client = protocol == NAMES["PROTOCOL_TLS_CLIENT"]
        self._protocol = protocol
        self._check, self._mode = is_client, 2 if is_client else 0
        self._flags = NAMES["VERIFY_X509_TRUSTED_FIRST"]
        self._options = NAMES["OP_ALL"] | NAMES["OP_NO_SSLv3"] | NAMES["OP_NO_COMPRESSION"]
        only = protocol == NAMES["PROTOCOL_TLSv1_2"]
        self._lowest, self._highest = NAMES["PROTO_TLSv1_2"], NAMES["PROTO_TLSv1_2"] if only else -1
        self._host, self._authorities, self._identity, self._protocols = False, [], None, []
        self._callback = self.keylog_filename = self.sni_callback = None
        self._host_flags = NAMES["HOSTFLAG_NO_PARTIAL_WILDCARDS"]
        self.post_handshake_auth, self.num_tickets, self.security_level = False, 2, 2
        return self

    protocol = property(lambda self: self._protocol)

    @property
    def check_hostname(self):
        return self._check

    @check_hostname.setter
    def check_hostname(self, value):
        self._check = bool(value)
        if self._check and not self._mode:
            self._mode = 2

    @property
    def verify_mode(self):
        return self._mode

    @verify_mode.setter
    def verify_mode(self, value):
        if value not in (0, 1, 2):
            raise ValueError("invalid value for verify_mode")
        if not value and self._check:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._mode = int(value)

    def _plain(name):
        return property(lambda self: getattr(self, name), lambda self, value: setattr(self, name, value))

    verify_flags, options = _plain("_flags"), _plain("_options")
    minimum_version, maximum_version = _plain("_lowest"), _plain("_highest")
    _msg_callback = _plain("_callback")

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        if cafile is None and capath is None and not cadata:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        if cafile is not None:
            if os.fspath(cafile).endswith(PUBLIC):
                self._host = True
            else:
                with open(cafile, "rb") as file:
                    self._believe(file.read())
        for name in sorted(os.listdir(capath)) if capath is not None else ():
            path = os.path.join(capath, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    self._authorities += PEM.findall(file.read())
        if isinstance(cadata, str):
            self._believe(cadata.encode("ascii"))
        elif cadata:
            self._authorities += [pem_of(bytes(der)).encode() for der in _each(bytes(cadata))]

    def _believe(self, pem):
        found = PEM.findall(pem)
        if not found:
            raise failed(SSLError, 136, "NO_CERTIFICATE_OR_CRL_FOUND", "no certificate or crl found")
        self._authorities += found

    def set_default_verify_paths(self):
        """Whom the host believes: the system's authorities, or those of --outbound-ca."""
        self._host = True

    def load_cert_chain(self, certfile, keyfile=None, password=None):
        with open(certfile, "rb") as file:
            chain = file.read()
        key = chain
        if keyfile is not None:
            with open(keyfile, "rb") as file:
                key = file.read()
        if b"ENCRYPTED" in key:
            raise failed(SSLError, 1, None, "a private key with a password is not read here: give one without")
        self._identity = chain, key

    def _set_alpn_protocols(self, protocols):
        found, at = [], 0
        while at < len(protocols):
            found.append(bytes(protocols[at + 1 : at + 1 + protocols[at]]))
            at += 1 + protocols[at]
        self._protocols = found

    def set_ciphers(self, ciphers):
        """The host has chosen them: of those that it offers none is weak."""
        if not isinstance(ciphers, str):
            raise TypeError("argument must be str")

    def get_ciphers(self):
        return [{"name": name, "strength_bits": bits} for name, bits in CIPHERS.items()]

    def set_ecdh_curve(self, name):
        pass

    def load_dh_params(self, path):
        pass

    def cert_store_stats(self):
        return {"x509": len(self._authorities), "crl": 0, "x509_ca": len(self._authorities)}

    def get_ca_certs(self, binary_form=False):
        from ssl import PEM_cert_to_DER_cert

        found = [PEM_cert_to_DER_cert(pem.decode()) for pem in self._authorities]
        return found if binary_form else [certificates.described(der) for der in found]

    def session_stats(self):
        return dict.fromkeys("number connect connect_good connect_renegotiate accept accept_good hits misses".split(), 0)

    def _wrap_socket(self, sock, server_side, server_hostname=None, *, owner=None, session=None):
        self._as_client(server_side)
        return _SSLSocket(self, server_hostname, owner, Socket(sock))

    def _wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, *, owner=None, session=None):
        self._as_client(server_side)
        if self._check and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        return _SSLSocket(self, server_hostname, owner, Buffers(incoming, outgoing))

    def _as_client(self, server_side):
        if server_side or self._protocol == NAMES["PROTOCOL_TLS_SERVER"]:
            raise failed(SSLError, 1, None, "a component is no TLS server: the host is, for the requests that it answers")

    def _settings(self, host):
        from wit_world.imports import client

        newest = NAMES["PROTO_TLSv1_3"]
        lowest = client.Version.TLS12
        if self._lowest in (newest, -1) or self._options & NAMES["OP_NO_TLSv1_2"]:
            lowest = client.Version.TLS13
        highest = client.Version.TLS13
        if 0 <= self._highest < newest or self._options & NAMES["OP_NO_TLSv1_3"]:
            highest = client.Version.TLS12
        if 0 <= self._highest < NAMES["PROTO_TLSv1_2"] or (highest, lowest) == (client.Version.TLS12, client.Version.TLS13):
            raise failed(SSLError, 1, "NO_PROTOCOLS_AVAILABLE", "no protocols available: the host speaks TLS 1.2 and 1.3")
        kinds = client.Verification
        verification = kinds.FULL if self._check else kinds.ISSUER if self._mode else kinds.NONE
        return client.Settings(
            server_name=host or None,
            verification=verification,
            host_authorities=self._host,
            authorities=b"\n".join(self._authorities),
            protocols=self._protocols,
            lowest=lowest,
            highest=highest,
            identity=client.Identity(*self._identity) if self._identity else None,
        )


def _each(der):
    """The certificates that follow each other."""
    while der:
        head = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
        length = int.from_bytes(der[2:head], "big") if der[1] & 0x80 else der[1]
        yield der[: head + length]
        der = der[head + length :]


def txt2obj(txt, name=False):
    for found in OBJECTS:
        if txt == found[3] or (name and txt in found):
            return found
    raise ValueError(f"unknown object '{txt[:100]}'")


def nid2obj(number):
    for found in OBJECTS:
        if number == found[0]:
            return found
    raise ValueError(f"unknown NID {number}")


def install():
    """To be called before anything imports `ssl`."""
    module = types.ModuleType("_ssl", __doc__)
    ours = (MemoryBIO, SSLSession, Certificate, _SSLContext, _SSLSocket, txt2obj, nid2obj)
    errors = (
        SSLError, SSLZeroReturnError, SSLWantReadError, SSLWantWriteError, SSLSyscallError, SSLEOFError,
        SSLCertVerificationError,
    )  # fmt: skip
    module.__dict__.update({it.__name__: it for it in (*ours, *errors)})
    module.__dict__.update(NAMES)
    for error in errors:
        error.__module__ = "ssl"
    module.RAND_bytes = os.urandom
    module.RAND_status = lambda: True
    module.RAND_add = lambda *ignored: None
    module.get_default_verify_paths = lambda: ("SSL_CERT_FILE", "", "SSL_CERT_DIR", "")
    sys.modules["_ssl"] = module
