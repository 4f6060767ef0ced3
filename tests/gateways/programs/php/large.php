<?php
// As many bytes as the query says, of a pattern that no part of repeats.
header('Content-Type: application/octet-stream');
$count = (int) $_SERVER['QUERY_STRING'];
for ($at = 0; $at < $count; $at += 8) {
    printf("%07x\n", $at / 8);
}
