"""A Flask application, which is WSGI: routes, a template, a stream, a form and a session."""

from flask import Flask, Response, abort, jsonify, render_template, request, session

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


def described(environ, start_response):
    """Says what it was asked, a line for each thing; in plain WSGI, for every method."""
    length = 0
    while piece := environ["wsgi.input"].read(65536):
        length += len(piece)
    fields = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    query = environ.get("QUERY_STRING", "")
    lines = [f"path {environ['PATH_INFO']}{'?' * bool(query)}{query}"]
    lines += [f"header {name.lower().replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += [f"body {length}", ""]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Out", "lev\xe9")])
    return ["\n".join(lines).encode("latin-1")]


def dispatched(environ, start_response, flask=app.wsgi_app):
    is_described = environ["PATH_INFO"].startswith("/request")
    if environ["PATH_INFO"] == "/throw":
        raise ValueError("outside of Flask")
    return (described if is_described else flask)(environ, start_response)


app.wsgi_app = dispatched


@app.get("/missing")
def missing():
    abort(404, "it is not here")
