"""What applications have the package cryptography for: tokens with keys of two parts, ciphers, hashes of passwords, certificates.
The keys in this folder are known to everybody.
"""

import random
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidKey, InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from fastapi import APIRouter, Body, Request
from jose import jwt as jose
from jose.exceptions import JOSEError

KEYS = {path.stem: path.read_bytes() for path in sorted(Path(__file__).with_name("keys").glob("*.pem"))}
# The key that tokens of an algorithm are signed with.
KEY_OF = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed25519"}
LIBRARIES = {"jwt": jwt, "jose": jose}
REFUSED = (ValueError, TypeError, InvalidKey, InvalidSignature, InvalidTag, InvalidToken, UnsupportedAlgorithm)
REFUSED += (jwt.PyJWTError, JOSEError)


def private(name):
    return serialization.load_pem_private_key(KEYS[name], None)


def public(name):
    key = private(name).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@asynccontextmanager
async def lifespan(app):
    """Draws and signs before the first request, as an application does that makes a key when it starts."""
    key = private("rsa")
    signed = key.sign(b"started", rsa_padding.PKCS1v15(), hashes.SHA256())
    yield {"rsa": key, "ec": ec.generate_private_key(ec.SECP256R1()), "signed": signed}


router = APIRouter(prefix="/tokens", lifespan=lifespan)


def told(what):
    """What a function returns, or what it refuses with."""
    try:
        return what()
    except REFUSED as error:
        return f"{type(error).__name__}: {error}"


@router.post("/sign")
def sign(algorithm: str, library: str = "jwt", claims: dict = Body()):
    return told(lambda: LIBRARIES[library].encode(claims, KEYS[KEY_OF[algorithm]].decode(), algorithm))


@router.post("/verify")
def verify(algorithm: str, library: str = "jwt", token: str = Body()):
    return told(lambda: LIBRARIES[library].decode(token, public(KEY_OF[algorithm]).decode(), algorithms=[algorithm]))


FERNET = Fernet(b"Rk9yIHRlc3RzIGFuZCBmb3Igbm90aGluZyBlbHNlLi4=")


@router.post("/fernet")
def fernet(text: str = Body()):
    return FERNET.encrypt(text.encode()).decode()


@router.post("/fernet/opened")
def fernet_opened(token: str = Body()):
    return told(lambda: FERNET.decrypt(token).decode())


@router.post("/ciphers")
def ciphers(text: str = Body()):
    data, key, nonce = text.encode(), bytes(range(32)), bytes(range(12))
    padder = padding.PKCS7(128).padder()
    cbc = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    sealed = AESGCM(key).encrypt(nonce, data, b"more")
    return {
        "gcm": sealed.hex(),
        "opened": AESGCM(key).decrypt(nonce, sealed, b"more").decode(),
        "other": told(lambda: AESGCM(key).decrypt(nonce, sealed, b"less")),
        "short": told(lambda: AESGCM(key[:7])),
        "chacha": ChaCha20Poly1305(key).encrypt(nonce, data, None).hex(),
        "cbc": (cbc.update(padder.update(data) + padder.finalize()) + cbc.finalize()).hex(),
    }


@router.post("/hashes")
def digests(text: str = Body()):
    kinds = [hashes.SHA1(), hashes.SHA256(), hashes.SHA512(), hashes.SHA3_256(), hashes.BLAKE2b(64), hashes.SM3(), hashes.MD5()]
    found = {}
    for kind in kinds:
        digest = hashes.Hash(kind)
        digest.update(text.encode())
        found[kind.name] = digest.finalize().hex()
    return found


@router.post("/derived")
def derived(secret: str = Body()):
    data, salt = secret.encode(), b"a salt that is said"
    return {
        "scrypt": Scrypt(salt=salt, length=32, n=2**10, r=8, p=1).derive(data).hex(),
        "pbkdf2": PBKDF2HMAC(hashes.SHA256(), 32, salt, 1000).derive(data).hex(),
        "hkdf": HKDF(hashes.SHA512(), 40, salt, b"for").derive(data).hex(),
        "argon2": Argon2id(salt=salt, length=24, iterations=1, lanes=1, memory_cost=64).derive(data).hex(),
        "wrong": told(lambda: PBKDF2HMAC(hashes.SHA256(), 32, salt, 1000).verify(data, bytes(32))),
    }


@router.post("/certificate")
def certificate(pem: str = Body()):
    def read():
        found = x509.load_pem_x509_certificate(pem.encode())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {
            "subject": found.subject.rfc4514_string(),
            "names": names.get_values_for_type(x509.DNSName),
            "serial": found.serial_number,
            "until": found.not_valid_after_utc,
            "fingerprint": found.fingerprint(hashes.SHA256()).hex(),
            "extensions": [str(it.value) for it in found.extensions if it.critical],
            "own": told(lambda: found.verify_directly_issued_by(found)),
            "key": found.public_key().public_numbers().x,
        }

    return told(read)


@router.get("/certificate")
def certificate_here():
    return certificate(KEYS["certificate"].decode())


@router.get("/key/{name}")
def key(name: str, password: str | None = None, cut: int = 0):
    """Of a key that may need a password, what everybody may know."""

    def load():
        found = serialization.load_pem_private_key(KEYS[name][cut:], password and password.encode())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return found.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    return told(load)


@router.get("/made")
def made():
    """What is made with another key each time, and read again."""
    key = ec.generate_private_key(ec.SECP384R1())
    form, best = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, form, best)
    again = serialization.load_pem_private_key(pem, b"secret")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(again, hashes.SHA256())
    one, other = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    return {
        "same": again.private_numbers() == key.private_numbers(),
        "request": [request.is_signature_valid, request.subject.rfc4514_string()],
        "exchanged": one.exchange(other.public_key()) == other.exchange(one.public_key()),
    }


@router.get("/drawn")
def drawn(request: Request):
    """What must be another each time: keys, nonces, salts, serial numbers."""
    state, sha, raw = request.state, hashes.SHA256(), serialization.Encoding.Raw
    pss = rsa_padding.PSS(rsa_padding.MGF1(sha), rsa_padding.PSS.DIGEST_LENGTH)
    oaep = rsa_padding.OAEP(rsa_padding.MGF1(sha), sha, None)
    own = private("ec")
    return {
        "fernet": Fernet.generate_key().decode(),
        "aes": AESGCM.generate_key(256).hex(),
        "rsa": str(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n),
        "ec": str(ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers().x),
        "x25519": x25519.X25519PrivateKey.generate().public_key().public_bytes(raw, serialization.PublicFormat.Raw).hex(),
        "ed25519": ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(raw, serialization.PublicFormat.Raw).hex(),
        # The nonces of signatures with the same keys, of the same words: whoever sees two that are equal, for words that
        # are not, knows the key.
        "nonce": str(decode_dss_signature(state.ec.sign(b"words", ec.ECDSA(sha)))[0]),
        "nonce of a key that is read": str(decode_dss_signature(own.sign(b"words", ec.ECDSA(sha)))[0]),
        "salt": state.rsa.sign(b"words", pss, sha).hex(),
        "sealed": state.rsa.public_key().encrypt(b"words", oaep).hex(),
        "serial": str(x509.random_serial_number()),
        "random": str(random.random()),
    }


@router.get("/started")
def started(request: Request):
    """What is the same in all requests of a start; and that a key which has signed before the start goes on to do so."""
    again = request.state.rsa.sign(b"started", rsa_padding.PKCS1v15(), hashes.SHA256())
    return {"key": str(request.state.ec.public_key().public_numbers().x), "signs": again == request.state.signed}
