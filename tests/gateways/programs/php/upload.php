<?php
require __DIR__ . '/lib.php';
$file = $_FILES['file'];
answer([
    'error' => $file['error'],
    'name' => $file['name'],
    'size' => $file['size'],
    'sha256' => hash_file('sha256', $file['tmp_name']),
    'said' => $_SERVER['CONTENT_LENGTH'],
]);
