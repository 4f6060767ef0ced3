#!/usr/bin/perl
use strict;
use warnings;

my $line = <STDIN> // '';
chomp $line;
print "Content-Type: text/plain\n\n";
print "perl: $ENV{REQUEST_METHOD} $ENV{PATH_INFO} $line\n";
