<?php
require __DIR__ . '/lib.php';
$names = ['GATEWAY_INTERFACE', 'SERVER_PROTOCOL', 'REQUEST_METHOD', 'REQUEST_URI', 'QUERY_STRING',
    'SCRIPT_NAME', 'SCRIPT_FILENAME', 'DOCUMENT_ROOT', 'REMOTE_ADDR', 'SERVER_NAME', 'SERVER_PORT',
    'HTTP_HOST', 'HTTP_X_A', 'HTTP_PROXY', 'CONTENT_LENGTH', 'PHP_SELF'];
$found = [];
foreach ($names as $name) {
    $found[$name] = $_SERVER[$name] ?? null;
}
answer($found);
