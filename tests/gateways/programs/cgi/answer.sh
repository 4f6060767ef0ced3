#!/bin/sh
# Says what the query asks for.
case $QUERY_STRING in
local) printf 'Location: /cgi/hello.sh/there?x=y\n\n' ;;
local-loop) printf 'Location: /cgi/answer.sh?local-loop\n\n' ;;
client) printf 'Location: https://example.org/elsewhere\n\n' ;;
client-document) printf 'Status: 301 Moved\nLocation: https://example.org/a\nContent-Type: text/html\n\n<p>moved' ;;
status) printf 'Status: 418 A teapot\nContent-Type: text/plain\nX-Tea: green\n\nshort and stout' ;;
no-content) printf 'Status: 204 No Content\n\n' ;;
length) printf 'Content-Type: text/plain\nContent-Length: 10\n\n0123456789' ;;
length-more) printf 'Content-Type: text/plain\nContent-Length: 10\n\n0123456789 and more' ;;
length-less) printf 'Content-Type: text/plain\nContent-Length: 10\n\n01234' ;;
crlf) printf 'Content-Type: text/plain\r\nX-Line: crlf\r\n\r\nline\r\n' ;;
nothing) ;;
no-end) printf 'Content-Type: text/plain\n' ;;
no-field) printf 'this is no field\n\ncontent' ;;
no-type) printf 'X-Only: this\n\ncontent' ;;
bad-status) printf 'Status: lots\nContent-Type: text/plain\n\ncontent' ;;
control) printf 'Content-Type: text/plain\nX-Bad: a\001b\n\ncontent' ;;
exit) exit 3 ;;
exit-after) printf 'Content-Type: text/plain\n\nall of it'; exit 3 ;;
complain)
    printf 'one\ntwo \033[31mred\033[0m\nhalf' >&2
    printf 'Content-Type: text/plain\n\nfine'
    ;;
smuggle) printf 'Content-Type: text/plain\nTransfer-Encoding: chunked\nConnection: keep-alive\n\nplain' ;;
esac
