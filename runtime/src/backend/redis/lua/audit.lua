-- Looks whether owners still have what their node believes: a key may have expired, or another program removed or overwritten it. ARGV[2] is the epoch
-- that the node knows; from ARGV[3] on, in twos: the owner and the slot. Returns the latest moment, and of each in turn the deadline of its key, or -2 when the
-- row is lost. Like a write it is refused without a lease, and by another process: in a Redis that has just lost data, or swept this origin,
-- nothing was removed by anybody, and all of it is to be written again.
local run = run_id()
if call('HGET', RUN, 'epoch') ~= ARGV[2] or (run ~= '' and call('HGET', RUN, 'id') ~= run) then
  return redis.error_reply('LEASELOST another process answers than the one that gave the lease, or it has other data')
end

local function deadline_or_loss(who, slot)
  local key, row = parse_slot(slot)
  local content, record, value = call('HGET', owned_by(who), slot), read_row(key, row), value_of(key, row)
  local is_owner = record and index_of(record, who)
  if is_owner and content and value and not is_overwritten(content, value) then return deadline_of(key) end
  -- Of a row that others own it is nobody's but theirs.
  if is_owner then erase_row(key, row, record) end
  call('HDEL', owned_by(who), slot)
  return -2
end

local told = { latest() }
for i = 3, #ARGV, 2 do table.insert(told, deadline_or_loss(ARGV[i], ARGV[i + 1])) end
return told
