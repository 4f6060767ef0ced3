#!/usr/bin/python3
# What came in on the standard input, and what was said of it.
import hashlib
import json
import os
import sys

content = sys.stdin.buffer.read()
print("Content-Type: application/json\n")
print(json.dumps({
    "said": os.environ.get("CONTENT_LENGTH"),
    "type": os.environ.get("CONTENT_TYPE"),
    "coding": os.environ.get("HTTP_TRANSFER_ENCODING"),
    "length": len(content),
    "sha256": hashlib.sha256(content).hexdigest(),
}))
