<?php
error_log('something is odd');
error_log("two lines\nof it");
echo 'fine';
