#!/usr/bin/python3
import os
import sys

line = sys.stdin.readline().rstrip("\n")
print("Content-Type: text/plain\n")
print("python:", os.environ["REQUEST_METHOD"], os.environ.get("PATH_INFO", ""), line)
