#!/bin/sh
printf 'Content-Type: text/plain\n\n%s|%s|%s' "$SCRIPT_NAME" "$PATH_INFO" "$PWD"
