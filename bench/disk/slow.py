#!/usr/bin/python3
"""A file system that shows FOLDER at MOUNT, read-only, and takes its time with each read.

usage: slow.py FOLDER MOUNT SECONDS. It takes FUSE and python3-fusepy.
"""

import errno
import os
import sys
import time

try:
    from fusepy import FUSE, FuseOSError, Operations
except ModuleNotFoundError:
    from fuse import FUSE, FuseOSError, Operations

FACTS = ("st_mode", "st_size", "st_ino", "st_mtime", "st_ctime", "st_atime", "st_nlink")


class Slow(Operations):
    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds

    def getattr(self, path, handle=None):
        try:
            facts = os.lstat(self.folder + path)
        except OSError as error:
            raise FuseOSError(error.errno or errno.EIO) from error
        return {name: getattr(facts, name) for name in FACTS}

    def open(self, path, flags):
        return os.open(self.folder + path, os.O_RDONLY)

    def read(self, path, size, offset, handle):
        time.sleep(self.seconds)
        return os.pread(handle, size, offset)

    def release(self, path, handle):
        os.close(handle)
        return 0


FUSE(Slow(sys.argv[1], float(sys.argv[3])), sys.argv[2], foreground=True, ro=True)
