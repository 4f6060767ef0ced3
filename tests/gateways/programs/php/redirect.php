<?php
header('Location: /form.php');
