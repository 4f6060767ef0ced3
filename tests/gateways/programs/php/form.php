<?php
require __DIR__ . '/lib.php';
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
    header('Allow: POST');
    exit;
}
setcookie('seen', '1');
header('X-Twice: a');
header('X-Twice: b', false);
answer(['name' => $_POST['name'] ?? null, 'cookie' => $_COOKIE['seen'] ?? null]);
