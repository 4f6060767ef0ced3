#!/usr/bin/python3
# As many bytes as the query says, of a pattern that no part of repeats.
import os
import sys

count = int(os.environ["QUERY_STRING"])
print("Content-Type: application/octet-stream\n", flush=True)
for start in range(0, count, 8):
    sys.stdout.buffer.write(b"%07x\n" % (start // 8))
