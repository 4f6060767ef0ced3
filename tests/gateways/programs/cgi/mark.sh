#!/bin/sh
# Leaves a mark, so that it can be seen whether it ran.
: >"$GATE.mark"
printf 'Content-Type: text/plain\n\nran'
