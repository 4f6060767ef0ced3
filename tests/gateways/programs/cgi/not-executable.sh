#!/bin/sh
printf 'Content-Type: text/plain\n\nthis may not run'
