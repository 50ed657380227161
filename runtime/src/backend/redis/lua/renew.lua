-- Renews the lease of ARGV[2] for ARGV[3] milliseconds. Tells what its owners have lost, and whose deadlines were changed, after the moment ARGV[4], which is the
-- latest that its node knows. ARGV[5] is the process that the node knows, '' for none: when it is another one, or moments have gone back, then
-- this Redis may have older data than the node has seen, and its origin ends, so that it writes all it has again under another.
local EPOCH = 2 ^ 36
local origin, heard, known = ARGV[2], tonumber(ARGV[4]), ARGV[5]
local run, moment = run_id(), latest()
if moment < heard or (known ~= '' and known ~= run) then end_origin(origin) end
-- Moments grow over that too: whoever comes first lets them begin anew above all that was ever given.
if moment < heard or call('HGET', RUN, 'id') ~= run then
  call('HSET', RUN, 'id', run, 'began', moment)
  call('SET', meta .. 'seq', string.format('%d', (math.floor(math.max(moment, heard) / EPOCH) + 1) * EPOCH))
end
local is_alive = call('ZSCORE', LEASES, origin) and 1 or 0
if is_alive == 1 then call('ZADD', LEASES, clock() + ARGV[3], origin) end
local lost, deadlines = {}, {}
local all = call('HGETALL', meta .. 'lost:' .. origin)
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) <= heard then
    call('HDEL', meta .. 'lost:' .. origin, all[i])
  else
    table.insert(lost, all[i])
    table.insert(lost, all[i + 1])
  end
end
-- Of more than these an audit tells.
for _, key in ipairs(call('ZREVRANGEBYSCORE', DEADLINES, '+inf', '(' .. ARGV[4], 'LIMIT', 0, 1000)) do
  table.insert(deadlines, key)
  table.insert(deadlines, string.format('%d', deadline_of(key)))
end
return { is_alive, latest(), clock(), run, lost, deadlines }
