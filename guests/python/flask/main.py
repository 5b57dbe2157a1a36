"""A Flask application, which is WSGI: routes, a template, a stream, a form and a session."""

import asyncio

from flask import Flask, Response, abort, jsonify, render_template, request, session

import plain

app = Flask(__name__)
# A real one comes from the environment; what is written here is in the component.
app.secret_key = "not a secret"


@app.get("/hello/<name>")
def hello(name):
    return render_template("hello.html", name=name)


@app.post("/echo")
def echo():
    return jsonify(request.get_json())


@app.post("/form")
def form():
    return jsonify(name=request.form["name"], query=request.args.get("q"))


@app.get("/lines")
def lines():
    return Response((f"line {number}\n" for number in range(3)), mimetype="text/plain")


@app.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return jsonify(count=session["count"])


@app.get("/slow")
async def slow():
    await asyncio.sleep(0.01)
    return jsonify(slow=True)


@app.get("/missing")
def missing():
    abort(404, "it is not here")


app.wsgi_app = plain.beside(app.wsgi_app)
