#!/bin/sh
# A GiB of zeros, as fast as it is taken.
printf 'Content-Type: application/octet-stream\n\n'
exec head -c 1073741824 /dev/zero
