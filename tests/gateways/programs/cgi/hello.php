#!/usr/bin/php-cgi
<?php
header('Content-Type: text/plain');
$line = strtok(file_get_contents('php://input'), "\n");
echo "php: {$_SERVER['REQUEST_METHOD']} {$_SERVER['PATH_INFO']} $line\n";
