"""A module `ssl` that can be imported: CPython for WASI has none, and libraries name it without using it.

The host speaks TLS, on both sides; an outbound request says `https`.
"""

import enum
import sys
import types


class SSLError(OSError):
    pass


class SSLZeroReturnError(SSLError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLCertVerificationError(SSLError, ValueError):
    pass


class VerifyMode(enum.IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class TLSVersion(enum.IntEnum):
    MINIMUM_SUPPORTED = -2
    SSLv3 = 768
    TLSv1 = 769
    TLSv1_1 = 770
    TLSv1_2 = 771
    TLSv1_3 = 772
    MAXIMUM_SUPPORTED = -1


class VerifyFlags(enum.IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_CRL_CHECK_LEAF = 4
    VERIFY_CRL_CHECK_CHAIN = 12
    VERIFY_X509_STRICT = 32
    VERIFY_ALLOW_PROXY_CERTS = 64
    VERIFY_X509_TRUSTED_FIRST = 32768
    VERIFY_X509_PARTIAL_CHAIN = 524288


class Purpose(enum.Enum):
    SERVER_AUTH = 1
    CLIENT_AUTH = 2


class SSLContext:
    """Holds what it is told and does nothing with it: certificates are the host's affair."""

    def __init__(self, protocol=None):
        self.protocol = protocol
        self.check_hostname = True
        self.verify_mode = VerifyMode.CERT_REQUIRED
        self.verify_flags = 0
        self.options = 0
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED
        self.keylog_filename = None

    def _nothing(self, *args, **kwargs):
        pass

    load_verify_locations = load_default_certs = set_default_verify_paths = load_cert_chain = _nothing
    set_alpn_protocols = set_ciphers = _nothing

    def _refused(self, *args, **kwargs):
        raise SSLError("TLS over sockets is not there in WASI; use an HTTP client, which asks the host")

    wrap_socket = wrap_bio = _refused


class SSLObject:
    pass


class SSLSocket:
    pass


class MemoryBIO:
    def __init__(self):
        raise SSLError("TLS over sockets is not there in WASI")


class SSLSession:
    pass


def create_default_context(purpose=Purpose.SERVER_AUTH, *, cafile=None, capath=None, cadata=None):
    return SSLContext()


def get_default_verify_paths():
    return types.SimpleNamespace(cafile=None, capath=None)


def install():
    module = types.ModuleType("ssl", __doc__)
    names = {name: value for name, value in globals().items() if not name.startswith("_")}
    for name in ("enum", "sys", "types", "install"):
        names.pop(name)
    module.__dict__.update(names)
    module.__dict__.update(VerifyMode.__members__)
    module.__dict__.update(VerifyFlags.__members__)
    module.CertificateError = SSLCertVerificationError
    module.socket_error = OSError
    module._create_unverified_context = module._create_default_https_context = create_default_context
    module._create_stdlib_context = create_default_context
    module.OPENSSL_VERSION = "none"
    module.OPENSSL_VERSION_INFO = module.OPENSSL_VERSION_NUMBER = None
    module.HAS_SNI = module.HAS_ALPN = module.HAS_TLSv1_3 = True
    for number, name in enumerate(
        "PROTOCOL_TLS PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER PROTOCOL_SSLv23 PROTOCOL_TLSv1_2".split()
    ):
        setattr(module, name, number)
    for name in (
        "OP_ALL OP_NO_SSLv2 OP_NO_SSLv3 OP_NO_TLSv1 OP_NO_TLSv1_1 OP_NO_TLSv1_2 OP_NO_COMPRESSION OP_NO_TICKET "
        "OP_NO_RENEGOTIATION OP_IGNORE_UNEXPECTED_EOF"
    ).split():
        setattr(module, name, 0)
    sys.modules["ssl"] = module
