"""Packages whose native part is built for WASI, as people use them: the clients of OpenAI and of Anthropic (jiter),
jsonschema (rpds), argon2-cffi (cffi), regex, and in tokens.py cryptography. orjson and bcrypt are asked by ../tests.
"""

import argon2
from anthropic import Anthropic, APIError, AsyncAnthropic
from argon2.exceptions import Argon2Error
from argon2.low_level import Type, hash_secret, verify_secret
from fastapi import Body, FastAPI
from fastapi.responses import StreamingResponse
from jsonschema import Draft202012Validator
from openai import AsyncOpenAI, OpenAI, OpenAIError
from pydantic import BaseModel
from tokens import router

app = FastAPI()
app.include_router(router)

MESSAGES = [{"role": "user", "content": "Say hello."}]


# The clients of OpenAI and of Anthropic, with an API elsewhere.
class Pet(BaseModel):
    name: str
    age: int


@app.get("/openai")
def ask_openai(url: str):
    client = OpenAI(api_key="key", base_url=url, max_retries=0)
    try:
        answer = client.chat.completions.create(model="gpt", messages=MESSAGES)
    except OpenAIError as error:
        return {"error": type(error).__name__}
    return {"said": answer.choices[0].message.content, "tokens": answer.usage.total_tokens}


@app.get("/openai/parsed")
async def parse(url: str):
    client = AsyncOpenAI(api_key="key", base_url=url, max_retries=0)
    async with client.chat.completions.stream(model="gpt", messages=MESSAGES, response_format=Pet) as stream:
        async for event in stream:
            pass
        answer = await stream.get_final_completion()
    return answer.choices[0].message.parsed


@app.get("/openai/stream")
async def stream_openai(url: str):
    client = AsyncOpenAI(api_key="key", base_url=url, max_retries=0)
    stream = await client.chat.completions.create(model="gpt", messages=MESSAGES, stream=True)

    async def pieces():
        async for chunk in stream:
            yield chunk.choices[0].delta.content or "|"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/anthropic")
def ask_anthropic(url: str):
    client = Anthropic(api_key="key", base_url=url, max_retries=0)
    try:
        answer = client.messages.create(model="claude", max_tokens=10, messages=MESSAGES)
    except APIError as error:
        return {"error": type(error).__name__}
    return {"said": answer.content[0].text, "tokens": answer.usage.output_tokens}


@app.get("/anthropic/stream")
async def stream_anthropic(url: str):
    client = AsyncAnthropic(api_key="key", base_url=url, max_retries=0)
    async with client.messages.stream(model="claude", max_tokens=10, messages=MESSAGES) as stream:
        texts = [text async for text in stream.text_stream]
        return {"texts": texts, "input": (await stream.get_final_message()).content[-1].input}


# What the clients read answers with; imported by the request that needs it.
@app.post("/jiter")
async def jiter(data: bytes = Body(media_type="text/plain"), partial: str = "off"):
    import jiter

    try:
        return repr(jiter.from_json(data, partial_mode=partial))
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


# Schemas, of which some refer to others, and to themselves.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}, "children": {"$ref": "#/$defs/trees"}},
            "required": ["name"],
            "unevaluatedProperties": False,
        },
        "trees": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "uniqueItems": True},
    },
}


@app.post("/schema")
def judge(value: object = Body()):
    errors = Draft202012Validator(SCHEMA).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in sorted(errors, key=str)]


# Hashes, with a salt that is said, so that they are the same everywhere.
@app.post("/argon2")
def hash(secret: str = Body(), kind: str = "ID", lanes: int = 1, memory: int = 64):
    try:
        return hash_secret(secret.encode(), b"a salt that is said", 2, memory, lanes, 24, Type[kind])
    except Argon2Error as error:
        return f"{type(error).__name__}: {error}"


@app.post("/argon2/verify")
def verify(hashed: str = Body(), secret: str = Body()):
    try:
        return verify_secret(hashed.encode(), secret.encode(), Type.ID)
    except Argon2Error as error:
        return f"{type(error).__name__}: {error}"


@app.get("/argon2/own")
def own(secret: str):
    hashed = argon2.PasswordHasher().hash(secret)
    return {"hashed": hashed, "is_right": argon2.PasswordHasher().verify(hashed, secret)}


# Texts of each width that characters have in memory, bytes, and what `re` does not have.
TEXTS = ["abc de", "h\u00e9llo \u00ff", "\u65e5\u672c \u30c6\u30b9\u30c8", "\U0001f389 party \U0001d4b3"]


@app.get("/regex")
def find():
    import copy

    import regex

    class Text(str):
        pass

    found = [regex.findall(r"\w+", kind(text)) for text in TEXTS for kind in (str, Text)]
    found += [[word.decode("latin-1") for word in regex.findall(rb"\w+", text.encode())] for text in TEXTS]
    found.append(regex.findall(r"\p{Han}+|\p{Katakana}+", TEXTS[2]))
    found.append(regex.search(r"(?:hello){e<=2}", "say helo there").fuzzy_counts)
    found.append([match.captures("each") for match in regex.finditer(r"(?P<each>\w)+", TEXTS[0])])
    match = regex.match(r"(?P<one>\w)(?P<two>\w)+", TEXTS[0])
    found += [match.capturesdict(), match.allcaptures(), match.allspans(), match.re.groupindex, match.regs]
    found.append(regex.match(r"\X", "e\u0301x").group())
    found.append(copy.deepcopy(regex.compile(r"\L<words>", words=["one", "two"])).findall("one two three"))
    found.append(regex.subf(r"(\w+) (\w+)", "{2} {1}", "foo bar", timeout=60))
    found.append(regex.sub(r"(?i)stra\u00dfe", "x", "STRASSE", flags=regex.FULLCASE))
    try:
        regex.compile("(")
    except regex.error as error:
        found.append(str(error))
    return found
