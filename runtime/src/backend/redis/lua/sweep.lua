-- Ends origins whose lease has expired, when ARGV[3] is '1', and lets about ARGV[2] rows of an ended one go. Returns whether there may be more.
if ARGV[3] == '1' then
  for _, origin in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', clock(), 'LIMIT', 0, 10)) do end_origin(origin) end
end
local origin = call('SRANDMEMBER', DEAD)
if not origin then return 0 end
local who = call('SRANDMEMBER', meta .. 'owners:' .. origin)
if who then
  drop_rows(who, ARGV[2])
else
  local name = call('HGET', NODES, origin)
  if name and call('HGET', NAMES, name) == origin then call('HDEL', NAMES, name) end
  call('HDEL', NODES, origin)
  call('SREM', DEAD, origin)
  call('EXPIRE', meta .. 'lost:' .. origin, 86400)
end
return 1
