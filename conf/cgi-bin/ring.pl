#!./with perl
# A ring line with as many stops as the query asks for, drawn by Perl.
use strict;
use warnings;

my ($asked) = ($ENV{QUERY_STRING} // '') =~ /\bstops=(\d{1,3})\b/;
my $stops = $asked || 8;
$stops = 24 if $stops > 24;

my $circles = '';
for my $number (0 .. $stops - 1) {
    my $angle = 2 * atan2(0, -1) * $number / $stops;
    $circles .= sprintf qq{<circle class="station" cx="%.1f" cy="%.1f" r="9"/>\n},
        220 + 120 * sin $angle, 200 - 120 * cos $angle;
}

my $version = sprintf '%vd', $^V;
my $less = $stops > 1 ? $stops - 1 : 1;
my $more = $stops < 24 ? $stops + 1 : 24;
print <<"PAGE";
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drawn by Perl</title>
<link rel="icon" href="/loop.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="page">
<a class="back" href="/">All stops</a>
<main>
<h1>Drawn by Perl.</h1>
<p class="lead">Perl $version, process $$: started for this page, and gone by now.</p>
<svg class="ring small" viewBox="60 60 320 280" role="img" aria-label="A ring with $stops stops">
<circle class="track" cx="220" cy="200" r="120"/>
$circles<text class="middle" x="220" y="212" text-anchor="middle">$stops</text>
</svg>
<ul class="go">
<li><a href="?stops=$less">One stop less</a></li>
<li><a href="?stops=$more">One stop more</a></li>
<li><a href="/source/ring.pl">The script</a></li>
</ul>
</main>
</body>
</html>
PAGE
