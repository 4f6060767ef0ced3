#!/bin/sh
# Writes its whole head itself.
printf 'HTTP/1.0 203 As I say\r\nContent-Type: text/plain\r\nX-Own: %s\r\n\r\nraw' "$SERVER_PROTOCOL"
