-- Renews the lease of ARGV[2] for ARGV[3] milliseconds. Tells what its owners have lost, and whose deadlines were changed, after the moment ARGV[4], which is that of
-- the latest heartbeat. ARGV[5] is the latest moment that the node was told by whatever answer, ARGV[6] the epoch that it knows, '' for none, and behind a space
-- what one is called that begins now (in one: of more than ten words of who is not logged in any more Redis closes the connection without saying why).
-- An epoch is what one process makes of its data: when another process answers, or moments have gone back, this Redis may have older data than nodes have seen. Whoever comes first begins it; the origins of all who know another end, so that they write all they have again under others.
local EPOCH = 2 ^ 36
local origin, heard, told = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local known, drawn = string.match(ARGV[6], '^(%x*) (%x+)$')
local run, moment, epoch = run_id(), latest(), call('HGET', RUN, 'epoch')
-- Who must not know which process answers does not begin one over it, nor make others begin one again.
if not epoch or moment < told or (run ~= '' and call('HGET', RUN, 'id') ~= run) then
  epoch = drawn
  call('HSET', RUN, 'epoch', epoch, 'began', moment)
  if run ~= '' then call('HSET', RUN, 'id', run) end
  -- Moments grow over that too: they begin anew above all that was ever given.
  call('SET', meta .. 'seq', string.format('%d', (math.floor(math.max(moment, told) / EPOCH) + 1) * EPOCH))
end
if known ~= '' and known ~= epoch then end_origin(origin) end
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
return { is_alive, latest(), clock(), epoch, lost, deadlines }
