#!/bin/sh
# Makes trouble, as the query says. What it starts ends with the test's folder.
tell() { printf '%s' "$$" >"$GATE.id.new" && mv "$GATE.id.new" "$GATE.id"; }
case $QUERY_STRING in
# Sends its client elsewhere, and goes on for ever.
flood)
    tell
    printf 'Location: /well\n\n'
    exec yes
    ;;
# Answers, and complains for ever.
grumble)
    tell
    printf 'Content-Type: text/plain\nContent-Length: 4\n\nfine'
    exec yes >&2
    ;;
# Complains for ever, and never answers. The shell stays, and with it the output.
complain)
    tell
    yes >&2
    ;;
# The same in lines that are long.
moan)
    line='moan moan moan moan moan moan moan moan moan moan moan moan moan moan moan moan '
    yes "$line$line$line$line$line$line$line$line" >&2
    ;;
# Answers, and leaves somebody behind in a session of its own, who keeps its output.
daemon)
    printf 'Content-Type: text/plain\nContent-Length: 3\n\nabc'
    setsid sh -c ': >"$GATE.daemon"
        while [ -d "${GATE%/*}" ] && ! [ -e "$GATE" ]; do sleep 0.01; done' &
    while ! [ -e "$GATE.daemon" ]; do sleep 0.01; done
    ;;
# Says a little again and again, until there is the gate.
drip)
    printf 'Content-Type: text/plain\n\n'
    while [ -d "${GATE%/*}" ] && ! [ -e "$GATE" ]; do echo drop; sleep 0.05; done
    ;;
# Says how much content it was given, in truth.
count)
    printf 'Content-Type: text/plain\n\n'
    wc -c
    ;;
esac
