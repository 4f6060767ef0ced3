#!/bin/bash
# Says a line a second, for ten minutes. It starts nothing to wait: nobody writes into its pipe.
exec {pipe}<> <(:)
printf 'Content-Type: text/plain\n\n'
for ((ticks = 0; ticks < 600; ticks++)); do
  echo "$ticks"
  read -rt 1 -u "$pipe"
done
