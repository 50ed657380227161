-- Ends the origin ARGV[2].
end_origin(ARGV[2])
return 1
