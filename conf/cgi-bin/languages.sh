#!/bin/sh
# Which languages this machine speaks: a page for people, lines for programs.
list() {
  while read -r program name script; do
    path=$(command -v "$program") || path=
    "$1" "$name" "$script" "$path"
  done <<LANGUAGES
sh Shell languages.sh
perl Perl ring.pl
python3 Python ring.py
ruby Ruby ring.rb
node Node ring.js
LANGUAGES
}

line() { printf '%-8s%s\n' "$1" "${3:-is not installed}"; }

row() {
  if [ "$3" ]; then
    printf '<tr><th>%s</th><td><code>%s</code></td><td><a href="%s">%s</a></td></tr>\n' \
      "$1" "$3" "$2" "$2"
  else
    printf '<tr class="soft"><th>%s</th><td>not installed</td><td></td></tr>\n' "$1"
  fi
}

case $HTTP_ACCEPT in
*text/html*) ;;
*)
  printf 'Content-Type: text/plain; charset=utf-8\n\n'
  list line
  exit
  ;;
esac
cat <<PAGE
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What is spoken here</title>
<link rel="icon" href="/loop.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="page">
<a class="back" href="/">All stops</a>
<main>
<h1>What is spoken here</h1>
<p class="lead">A shell script has just looked around for you. It ran as process $$, and is gone.</p>
<table>
$(list row)
</table>
<p>Each program there can make pages. The server does not know any of them: it starts what the
  path names, tells it in variables what is asked for, and passes on what it says.</p>
<p><a href="/source/languages.sh">The script that made this page</a></p>
</main>
</body>
</html>
PAGE
