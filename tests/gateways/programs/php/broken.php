<?php
throw new RuntimeException('it is broken');
