#!./with node
// A ring line with as many stops as the query asks for, drawn by Node.
"use strict";

const query = new URLSearchParams(process.env.QUERY_STRING);
const stops = Math.min(Math.max(parseInt(query.get("stops"), 10) || 8, 1), 24);

const circles = Array.from({ length: stops }, (_, number) => {
  const angle = (2 * Math.PI * number) / stops;
  const x = (220 + 120 * Math.sin(angle)).toFixed(1);
  const y = (200 - 120 * Math.cos(angle)).toFixed(1);
  return `<circle class="station" cx="${x}" cy="${y}" r="9"/>`;
});

process.stdout.write(`Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drawn by Node</title>
<link rel="icon" href="/loop.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="page">
<a class="back" href="/">All stops</a>
<main>
<h1>Drawn by Node.</h1>
<p class="lead">Node ${process.versions.node}, process ${process.pid}: started for this page, and
  gone by now.</p>
<svg class="ring small" viewBox="60 60 320 280" role="img" aria-label="A ring with ${stops} stops">
<circle class="track" cx="220" cy="200" r="120"/>
${circles.join("\n")}
<text class="middle" x="220" y="212" text-anchor="middle">${stops}</text>
</svg>
<ul class="go">
<li><a href="?stops=${Math.max(stops - 1, 1)}">One stop less</a></li>
<li><a href="?stops=${Math.min(stops + 1, 24)}">One stop more</a></li>
<li><a href="/source/ring.js">The script</a></li>
</ul>
</main>
</body>
</html>
`);
