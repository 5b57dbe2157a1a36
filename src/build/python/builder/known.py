"""Packages that are known to have a native part that cannot be in a component, and what takes their place."""

# Servers and what only they need: here the component is what is served. They are left out, with what only they ask for,
# unless the application imports them.
SERVERS = {
    "uvicorn", "gunicorn", "hypercorn", "daphne", "waitress", "granian", "fastapi-cli", "fastapi-cloud-cli",
}  # fmt: skip
# Frameworks that import a server themselves, by the modules that an application imports.
SERVERS_OF = {"quart": {"hypercorn"}}
# What servers use where it is there, which is nowhere in a component.
OF_SERVERS = {"uvloop", "httptools", "watchfiles", "rignore", "fastar"}

# Packages that only make others faster, or give them one more form of what they do, and which of those look whether they are
# there: they are left out where nobody else asks for them.
SPARED_BY = {
    "aiodns": {"aiohttp"},
    "backports-zstd": {"aiohttp", "urllib3"},
    "brotli": {"aiohttp", "httpx", "httpx2", "requests", "urllib3"},
    "brotlicffi": {"aiohttp", "httpx", "httpx2", "requests", "urllib3"},
    "ciso8601": {"tortoise-orm"},
    "hiredis": {"redis", "fakeredis"},
    "setproctitle": {"celery"},
    "ujson": {"fastapi", "starlette"},
    "watchdog": {"werkzeug", "flask"},
    "zstandard": {"aiohttp", "httpx", "httpx2", "urllib3"},
}

# What the bridge has something for that takes its place.
STAND_INS = {"greenlet"}

DRIVER = "use pg8000 (`postgresql+pg8000://…` in SQLAlchemy), which is Python throughout"
# Python throughout, and of no use without a library of the system's, or what is native and not here of another package.
CALLS_NATIVE = {"psycopg", "pyopenssl"}
NATIVE = {
    "asyncpg": "use pg8000, which is Python throughout (`create_async_engine(\"postgresql+pg8000://…\")` in SQLAlchemy), or a "
    "database that the server grants by --postgres NAME=URL (`create_async_engine(\"postgresql+wasmserve://NAME\")`)",
    "psycopg": DRIVER,
    "psycopg2": DRIVER,
    "psycopg2-binary": DRIVER,
    "psycopg-binary": DRIVER,
    "psycopg-c": DRIVER,
    "mysqlclient": "use PyMySQL (`mysql+pymysql://…` in SQLAlchemy), which is Python throughout",
    "asyncmy": "use PyMySQL (`mysql+pymysql://…` in SQLAlchemy), which is Python throughout",
    "gevent": "it switches stacks, which WebAssembly cannot; use asyncio",
    "eventlet": "it switches stacks, which WebAssembly cannot; use asyncio",
    "ormsgpack": "use msgpack, which has a form in Python",
    "ujson": "use orjson, which is built for WASI",
    "msgspec": "it has no build for WASI, nor has Litestar, which asks for it; use FastAPI or Starlette, as Pydantic has one",
    "aiokafka": "hand messages on by HTTP, or by Redis",
    "cachebox": "ask for `deepdiff<9`, which does without it",
    "brotli": "take it out: the server compresses what it answers, by `wasmserve --compress`",
    "cbor2": "use msgpack, which has a form in Python",
    "dependency-injector": "use FastAPI's Depends, or dishka",
    "lz4": "use `zlib` of the standard library",
    "mmh3": "use `hashlib` of the standard library",
    "nh3": "use bleach, which is Python throughout",
    "psutil": "take it out: WASI tells nothing of the machine and its processes, and the server does by its /metrics",
    "python-rapidjson": "use orjson, which is built for WASI",
    "uuid-utils": "use `uuid` of the standard library; langchain-core, which asks for it, cannot be had",
    "xxhash": "use `hashlib` of the standard library",
    "zstandard": "use `zlib` of the standard library; the server compresses what it answers, by `wasmserve --compress`",
    "lxml": "use `xml.etree` of the standard library, or html5lib",
    "numpy": "it has no build for WASI",
    "pandas": "it has no build for WASI",
    "scipy": "it has no build for WASI",
    "scikit-learn": "it has no build for WASI",
    "torch": "it has no build for WASI",
    "tensorflow": "it has no build for WASI",
    "opencv-python": "it has no build for WASI",
    "pillow": "it has no build for WASI",
    "pyarrow": "it has no build for WASI",
    "polars": "it has no build for WASI",
    "pymupdf": "it has no build for WASI; pypdf is Python throughout",
    "grpcio": "WASI has HTTP and no gRPC of its own; call the service by HTTP",
    "confluent-kafka": "hand messages on by HTTP, or by Redis: clients of Kafka want threads",
    "tiktoken": "it has no build for WASI",
    "tokenizers": "it has no build for WASI",
    "pycryptodome": "it has no build for WASI",
    "pynacl": "it has no build for WASI",
    "pyopenssl": "the host speaks TLS: use Python's `ssl`, httpx, requests or urllib3; keys and certificates are cryptography's",
    "playwright": "it starts a browser, and WASI starts no processes",
}
