#!/usr/bin/python3
# Uses more than it may have, of what the query names.
import os
import resource

print("Content-Type: text/plain\n")
wanted = os.environ["QUERY_STRING"]
if wanted == "memory":
    print(resource.getrlimit(resource.RLIMIT_AS)[0])
    try:
        print(len(bytearray(1 << 30)))
    except MemoryError:
        print("no memory")
elif wanted == "cpu":
    print(resource.getrlimit(resource.RLIMIT_CPU)[0], flush=True)
    while True:
        pass
elif wanted == "output":
    while True:
        print("more and more and more")
