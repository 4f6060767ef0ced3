#!/bin/sh
# Says a line a second, for ten minutes.
printf 'Content-Type: text/plain\n\n'
ticks=0
while [ "$ticks" -lt 600 ]; do
  echo "$ticks"
  ticks=$((ticks + 1))
  sleep 1
done
