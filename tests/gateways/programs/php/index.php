<?php
require __DIR__ . '/lib.php';
answer(['page' => 'index', 'path' => $_SERVER['PATH_INFO'] ?? null, 'query' => $_GET]);
