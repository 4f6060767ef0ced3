<?php
// Says a line, waits for the gate, and says another one. Tells who it is on the way.
$gate = getenv('GATE') ?: $_SERVER['GATE'];
header('Content-Type: text/plain');
if ($_SERVER['QUERY_STRING'] === 'content') {
    echo "first\n";
    flush();
}
file_put_contents("$gate.id.new", (string) getmypid());
rename("$gate.id.new", "$gate.id");
while (true) {
    clearstatcache();
    if (file_exists($gate)) {
        break;
    }
    usleep(10000);
}
echo "second\n";
