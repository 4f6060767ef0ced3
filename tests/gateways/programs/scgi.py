#!/usr/bin/python3
# A small SCGI application: tells what it was told, one connection at a time.
import hashlib
import json
import os
import socket
import sys

gate = sys.argv[1]
if len(sys.argv) > 2:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[2])
    listener.listen()
    print("http://127.0.0.1:0", flush=True)
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)


def read_request(stream):
    length = b""
    while (byte := stream.read(1)) != b":":
        length += byte
    parts = stream.read(int(length)).split(b"\0")
    assert parts.pop() == b"" and stream.read(1) == b","
    names, values = parts[::2], parts[1::2]
    assert names[0] == b"CONTENT_LENGTH" and len(set(names)) == len(names)
    variables = {name.decode(): value.decode("latin-1") for name, value in zip(names, values)}
    assert variables["SCGI"] == "1"
    return variables, stream.read(int(variables["CONTENT_LENGTH"]))


while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as stream:
        variables, content = read_request(stream)
        query = variables.get("QUERY_STRING")
        if query == "dies":
            os._exit(1)
        if query == "nothing":
            continue
        if query == "half":
            connection.sendall(b"Content-Type: text/plain\n\nhalf of")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            continue
        if query == "steps":
            connection.sendall(b"Content-Type: text/plain\n\nfirst\n")
            while not os.path.exists(gate):
                pass
            connection.sendall(b"second\n")
            continue
        answer = {"variables": variables, "length": len(content),
                  "sha256": hashlib.sha256(content).hexdigest()}
        connection.sendall(b"Status: 201 Made\r\nContent-Type: application/json\r\n\r\n")
        connection.sendall(json.dumps(answer).encode())
