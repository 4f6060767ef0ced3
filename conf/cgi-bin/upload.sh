#!/bin/sh
# What has been uploaded: its name, its size, its SHA-256. The content is a form with one file: a
# line with the boundary, some field lines, an empty line, the file, and the boundary again.
LC_ALL=C
export LC_ALL

answer() {
  case $HTTP_ACCEPT in
  *text/html*) ;;
  *)
    printf 'Status: %s\nContent-Type: text/plain; charset=utf-8\n\n%s\n%s\n' "$1" "$2" "$3"
    exit
    ;;
  esac
  cat <<PAGE
Status: $1
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Uploaded</title>
<link rel="icon" href="/loop.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="page">
<a class="back" href="/">All stops</a>
<main>
<h1>$(escape "$2")</h1>
<p class="lead"><code class="long">$(escape "$3")</code></p>
<p>A shell script has read it from its standard input, which is a file that has no name and is gone
  with the script.</p>
<p><a href="/upload.html">Another one</a></p>
</main>
</body>
</html>
PAGE
  exit
}

escape() {
  printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
}

case $CONTENT_TYPE in
multipart/form-data*) ;;
*) answer '400 Bad Request' 'Nothing was uploaded.' 'Choose a file in the form, and send it.' ;;
esac
carriage_return=$(printf '\r')
name= size=$CONTENT_LENGTH
# The first line is the boundary; the last one is the same with two more hyphens, on a line below.
IFS= read -r boundary
boundary=${boundary%"$carriage_return"}
size=$((size - 2 * (${#boundary} + 2) - 4))
while IFS= read -r line; do
  size=$((size - ${#line} - 1))
  case $line in
  "$carriage_return") break ;;
  *[Ff]ilename=\"*)
    name=${line#*ilename=\"}
    name=${name%%\"*}
    ;;
  esac
done
if [ "$size" -lt 0 ] || [ -z "$name" ]; then
  answer '400 Bad Request' 'Nothing was uploaded.' 'Choose a file in the form, and send it.'
fi
hash=$(head -c "$size" | sha256sum)
answer '200 OK' "$name, $size bytes" "sha256 ${hash%% *}"
