#!./with python3
"""A ring line with as many stops as the query asks for, drawn by Python."""
import math
import os
import platform
from urllib.parse import parse_qs

query = parse_qs(os.environ.get("QUERY_STRING", ""))
try:
    stops = min(max(int(query["stops"][0]), 1), 24)
except (KeyError, ValueError):
    stops = 8

circles = []
for number in range(stops):
    angle = 2 * math.pi * number / stops
    x, y = 220 + 120 * math.sin(angle), 200 - 120 * math.cos(angle)
    circles.append(f'<circle class="station" cx="{x:.1f}" cy="{y:.1f}" r="9"/>')

print(f"""Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drawn by Python</title>
<link rel="icon" href="/loop.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="page">
<a class="back" href="/">All stops</a>
<main>
<h1>Drawn by Python.</h1>
<p class="lead">Python {platform.python_version()}, process {os.getpid()}: started for this page,
  and gone by now.</p>
<svg class="ring small" viewBox="60 60 320 280" role="img" aria-label="A ring with {stops} stops">
<circle class="track" cx="220" cy="200" r="120"/>
{os.linesep.join(circles)}
<text class="middle" x="220" y="212" text-anchor="middle">{stops}</text>
</svg>
<ul class="go">
<li><a href="?stops={max(stops - 1, 1)}">One stop less</a></li>
<li><a href="?stops={min(stops + 1, 24)}">One stop more</a></li>
<li><a href="/source/ring.py">The script</a></li>
</ul>
</main>
</body>
</html>""")
