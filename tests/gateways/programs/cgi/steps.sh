#!/bin/sh
# Says a line, waits for the gate, and says another one; it ends as the query asks.
# On the way it tells who it is, and who its child is.
sleep 1000 &
printf '%s %s' "$$" "$!" >"$GATE.ids.new" && mv "$GATE.ids.new" "$GATE.ids"
case $QUERY_STRING in
head) printf 'Content-Ty' ;;
content*) printf 'Content-Type: text/event-stream\n\nfirst\n' ;;
length) printf 'Content-Type: text/plain\nContent-Length: 13\n\nfirst\n' ;;
esac
while ! [ -e "$GATE" ]; do sleep 0.01; done
case $QUERY_STRING in
before) printf 'Content-Type: text/plain\n\n' ;;
head) printf 'pe: text/plain\n\n' ;;
content-flood) yes ;;
esac
printf 'second\n'
kill "$!"
