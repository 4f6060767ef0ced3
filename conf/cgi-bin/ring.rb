#!./with ruby
# A ring line with as many stops as the query asks for, drawn by Ruby.
stops = (ENV['QUERY_STRING'].to_s[/\bstops=(\d{1,3})\b/, 1] || 8).to_i.clamp(1, 24)

circles = (0...stops).map do |number|
  angle = 2 * Math::PI * number / stops
  x = 220 + 120 * Math.sin(angle)
  y = 200 - 120 * Math.cos(angle)
  format('<circle class="station" cx="%.1f" cy="%.1f" r="9"/>', x, y)
end

puts <<~PAGE
  Content-Type: text/html; charset=utf-8

  <!DOCTYPE html>
  <html lang="en">
  <head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Drawn by Ruby</title>
  <link rel="icon" href="/loop.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/style.css">
  </head>
  <body class="page">
  <a class="back" href="/">All stops</a>
  <main>
  <h1>Drawn by Ruby.</h1>
  <p class="lead">Ruby #{RUBY_VERSION}, process #{Process.pid}: started for this page, and gone by
    now.</p>
  <svg class="ring small" viewBox="60 60 320 280" role="img" aria-label="A ring with #{stops} stops">
  <circle class="track" cx="220" cy="200" r="120"/>
  #{circles.join("\n  ")}
  <text class="middle" x="220" y="212" text-anchor="middle">#{stops}</text>
  </svg>
  <ul class="go">
  <li><a href="?stops=#{[stops - 1, 1].max}">One stop less</a></li>
  <li><a href="?stops=#{[stops + 1, 24].min}">One stop more</a></li>
  <li><a href="/source/ring.rb">The script</a></li>
  </ul>
  </main>
  </body>
  </html>
PAGE
