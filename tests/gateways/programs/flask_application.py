# A small application, as people write them with Flask.
import hashlib

import flask

application = flask.Flask(__name__)


@application.get("/")
def index():
    answer = flask.make_response(f"you asked {flask.request.url}\n")
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2")
    return answer


@application.post("/form")
def form():
    return {"name": flask.request.form["name"], "query": flask.request.args.get("q"),
            "address": flask.request.headers["X-Forwarded-For"]}


@application.post("/upload")
def upload():
    content = flask.request.files["file"].read()
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@application.get("/lines")
def lines():
    return flask.Response((f"line {number}\n" for number in range(5000)), mimetype="text/plain")


@application.get("/redirect")
def redirect():
    return flask.redirect(flask.url_for("index", _external=True))


@application.get("/broken")
def broken():
    raise RuntimeError("it is broken")
