#!/usr/bin/ruby
line = ($stdin.gets || '').chomp
puts "Content-Type: text/plain\n\n"
puts "ruby: #{ENV['REQUEST_METHOD']} #{ENV['PATH_INFO']} #{line}"
