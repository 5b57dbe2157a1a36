"""A small shop: what FastAPI applications are mostly made of, in as many files. It knows nothing of WebAssembly.

    uvicorn app.main:app --workers 4
    wasmserve build . -o shop.wasm && wasmserve shop.wasm --workers 4 --env DATABASE_URL --dir-rw DIRECTORY
"""

from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.middleware.sessions import SessionMiddleware

from .database import prepare
from .middleware import TimingMiddleware
from .routers import books, orders, pages


@asynccontextmanager
async def lifespan(app: FastAPI):
    prepare()
    yield


app = FastAPI(title="Shop", lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=1024)
# A real secret comes from the environment.
app.add_middleware(SessionMiddleware, secret_key="not a secret")
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["*"], allow_headers=["*"])
app.add_middleware(TimingMiddleware)
app.include_router(books.router)
app.include_router(orders.router)
app.include_router(pages.router)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
