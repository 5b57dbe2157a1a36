"""Packages whose native part is written in Rust and known to build for WASI: what rust.py has to know of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    # The first version that is known to build; earlier ones are not tried, but where this is None.
    since: str | None
    # The folder of its source that has Cargo.toml.
    crate: str
    # What cargo makes there, and the module that it is imported as.
    library: str
    module: str
    # The folder of its source that has its modules in Python; None where it has none, and all of it is native.
    python: str | None
    has_c: bool = False
    # Whether it is linked with OpenSSL.
    has_openssl: bool = False
    # Files of its source that are replaced, and by which of ours.
    replaced: tuple = ()
    # The crates whose sums are checked, as the package's own profile says of all: one of its own for Rust's library would
    # have that compiled again.
    checked: tuple = ()
    # The crates that are compiled to be small rather than fast, as the time they take is not their own.
    small: tuple = ()


# The crates of the package cryptography, and what they read ASN.1 with.
CRYPTOGRAPHY = (
    "cryptography-rust", "cryptography-cffi", "cryptography-crypto", "cryptography-keepalive", "cryptography-key-parsing",
    "cryptography-openssl", "cryptography-x509", "cryptography-x509-verification", "asn1", "pem",
)  # fmt: skip
PACKAGES = {
    "bcrypt": Package(
        "5.0.0", "src/_bcrypt", "bcrypt_rust", "bcrypt/_bcrypt", "src",
        checked=("bcrypt-rust", "bcrypt", "bcrypt-pbkdf", "blowfish", "base64"),
    ),
    "cryptography": Package(
        "50.0.2", "src/rust", "cryptography_rust", "cryptography/hazmat/bindings/_rust", "src",
        has_c=True, has_openssl=True,
        replaced=(("src/_cffi_src/build_openssl.py", "openssl/build_openssl.py"),),
        checked=(*CRYPTOGRAPHY, "base64", "openssl"), small=(*CRYPTOGRAPHY, "pyo3"),
    ),
    # What `openai` and `anthropic` ask for.
    "jiter": Package("0.19.0", "crates/jiter-python", "jiter_python", "jiter/jiter", None),
    "orjson": Package("3.13.0", ".", "orjson", "orjson/orjson", "pysrc", has_c=True),
    # Its versions belong to Pydantic's, and what an application asks for is what it needs.
    "pydantic-core": Package(None, ".", "_pydantic_core", "pydantic_core/_pydantic_core", "python"),
    # What `referencing` asks for, and with it `jsonschema`.
    "rpds-py": Package("2026.9.1", ".", "rpds", "rpds/rpds", None),
}  # fmt: skip
