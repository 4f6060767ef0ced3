#!/usr/bin/python3
# An application as PEP 3333 has it, behind the handler for CGI of Python's own library.
import wsgiref.handlers
import wsgiref.validate


def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content = environ["wsgi.input"].read(length)
    if environ["PATH_INFO"] == "/missing":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not here\n"]
    start_response("201 Created", [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ])
    name = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    return [environ["REQUEST_METHOD"].encode(), b" ", name.encode(), b"\n", content[::-1]]


wsgiref.handlers.CGIHandler().run(wsgiref.validate.validator(application))
