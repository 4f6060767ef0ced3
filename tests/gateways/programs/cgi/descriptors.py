#!/usr/bin/python3
# Which descriptors are open, and what they are.
import json
import os

found = {}
for number in range(4096):
    try:
        found[number] = os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        pass
print("Content-Type: application/json\n")
print(json.dumps(found))
