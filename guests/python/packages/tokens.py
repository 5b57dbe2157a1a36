"""Tokens and passwords: PyJWT, python-jose, passlib and Werkzeug."""

import json
from pathlib import Path

import jwt
from fastapi import APIRouter, HTTPException
from jose import JWTError
from jose import jwt as jose
from passlib.context import CryptContext
from werkzeug.security import check_password_hash, generate_password_hash

router = APIRouter()

SECRET = "a secret of more than thirty-two bytes, of this sample only"
# python-jose does RSA in Python, where `cryptography` is not there.
KEY = json.loads(Path(__file__).with_name("key.json").read_text())
PUBLIC = {name: KEY[name] for name in ("kty", "n", "e")}
passwords = CryptContext(schemes=["pbkdf2_sha256", "sha256_crypt"], deprecated=["sha256_crypt"])
CLAIMS = {"sub": "rex", "exp": 4_000_000_000}


@router.get("/pyjwt")
def by_pyjwt(token: str = ""):
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256", "HS512"], audience="pets")
    except jwt.InvalidTokenError as error:
        mine = jwt.encode({**CLAIMS, "aud": "pets"}, SECRET, algorithm="HS512")
        return {"error": f"{type(error).__name__}: {error}", "mine": mine, "head": jwt.get_unverified_header(mine)}


@router.get("/pyjwt/rsa")
def rsa_by_pyjwt():
    try:
        return jwt.encode(CLAIMS, KEY, algorithm="RS256")
    except NotImplementedError as error:
        return str(error)


@router.get("/jose")
def by_jose(token: str = "", algorithm: str = "HS256"):
    is_rsa = algorithm == "RS256"
    try:
        return jose.decode(token, PUBLIC if is_rsa else SECRET, algorithms=[algorithm])
    except JWTError as error:
        mine = jose.encode(CLAIMS, KEY if is_rsa else SECRET, algorithm=algorithm)
        return {"error": str(error), "mine": mine, "mine read": jose.get_unverified_claims(mine)}


@router.get("/passlib")
def by_passlib(hashed: str, password: str):
    if not passwords.identify(hashed):
        raise HTTPException(400, "it is no hash")
    own = passwords.using(pbkdf2_sha256__rounds=1000).hash(password)
    return [*passwords.verify_and_update(password, hashed)[:1], passwords.needs_update(hashed), passwords.verify(password, own)]


@router.get("/passlib/own")
def own_by_passlib(password: str):
    return passwords.hash(password)


@router.get("/werkzeug")
def by_werkzeug(hashed: str, password: str):
    return check_password_hash(hashed, password)


@router.get("/werkzeug/own")
def own_by_werkzeug(password: str):
    return generate_password_hash(password, method="pbkdf2:sha256:10000")
