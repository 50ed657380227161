-- Lets about ARGV[3] rows of the owner ARGV[2] go. Returns how many are left.
return drop_rows(ARGV[2], ARGV[3])
