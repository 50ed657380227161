-- Ends the origins from ARGV[3] on, and lets about ARGV[2] of their rows go. Returns whether there is more. Asking again does no harm.
for i = 3, #ARGV do
  local origin = ARGV[i]
  if call('ZSCORE', LEASES, origin) or call('EXISTS', meta .. 'owners:' .. origin) == 1 then end_origin(origin) end
  if call('SISMEMBER', DEAD, origin) == 1 and bury(origin, ARGV[2]) == 1 then return 1 end
end
return 0
