"""Answers at /, and tells what it was sent at /echo. `uvicorn main:app` serves it too."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Message(BaseModel):
    text: str


@app.get("/")
def greet() -> dict[str, str]:
    return {"message": "Hello, world!"}


@app.post("/echo")
async def echo(message: Message) -> Message:
    return message
