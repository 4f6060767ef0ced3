#!/bin/sh
read -r line
printf 'Content-Type: text/plain\n\nsh: %s %s %s\n' "$REQUEST_METHOD" "$PATH_INFO" "$line"
