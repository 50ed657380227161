-- Renews the lease of ARGV[2] for ARGV[3] milliseconds, and tells what its owners have lost after the moment ARGV[4].
local origin, lost = ARGV[2], {}
local is_alive = call('ZSCORE', LEASES, origin) and 1 or 0
if is_alive == 1 then call('ZADD', LEASES, clock() + ARGV[3], origin) end
local all = call('HGETALL', meta .. 'lost:' .. origin)
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) <= tonumber(ARGV[4]) then
    call('HDEL', meta .. 'lost:' .. origin, all[i])
  else
    table.insert(lost, all[i])
  end
end
return { is_alive, tonumber(call('GET', meta .. 'seq') or '0'), lost }
