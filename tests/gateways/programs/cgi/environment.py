#!/usr/bin/python3
# All of the environment, the arguments and the working directory, as JSON. Bytes become the
# characters of their number.
import json
import os
import sys

environment = {name.decode("latin-1"): value.decode("latin-1")
               for name, value in os.environb.items()}
# Python adds this one itself where no locale is asked for.
if environment.get("LC_CTYPE") == "C.UTF-8":
    del environment["LC_CTYPE"]
print("Content-Type: application/json\n")
print(json.dumps({"environment": environment, "arguments": sys.argv[1:], "directory": os.getcwd()}))
