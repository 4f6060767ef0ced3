#!/bin/sh
# The time, once a second, as server-sent events. It ends after a quarter of an hour, and the browser
# asks again; it is ended when nobody listens any more.
printf 'Content-Type: text/event-stream\nCache-Control: no-store\n\n'
ticks=0
while [ "$ticks" -lt 900 ]; do
  printf 'data: %s\n\n' "$(date +%H:%M:%S)"
  ticks=$((ticks + 1))
  sleep 1
done
