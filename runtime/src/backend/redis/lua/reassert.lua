-- What the origins ARGV[2] had (one or several, by spaces) belongs to the origin ARGV[3] of the same node: what is left of it changes hands, what is gone is written again, and
-- what somebody else has written since is theirs. From ARGV[4] on, in fours: the session's suffix, the slot, 's' or '=value' or 'ncount', and
-- the milliseconds that the key had to live. Returns which of them, counted from 0, the node has lost.
local lost = {}
if not call('ZSCORE', LEASES, ARGV[3]) then
  return redis.error_reply('LEASELOST the lease of ' .. ARGV[3] .. ' has expired')
end

local function write(key, row, payload, record, existed)
  local what, rest = string.sub(payload, 1, 1), string.sub(payload, 2)
  local outcome
  if what == 's' then
    if existed then return record ~= nil end
    outcome = redis.pcall('SADD', key, string.sub(row, 2))
  elseif what == 'n' then
    outcome = add_to(key, row, rest)
  elseif existed then
    return false
  elseif string.sub(row, 1, 1) == 'h' then
    outcome = redis.pcall('HSET', key, string.sub(row, 2), rest)
  else
    if call('EXISTS', key) == 1 then return false end
    outcome = call('SET', key, rest)
  end
  return not (type(outcome) == 'table' and outcome.err)
end

local function former_of(record, suffix)
  for former in string.gmatch(ARGV[2], '%S+') do
    local at = record and index_of(record, former .. suffix)
    if at then return at, former .. suffix end
  end
end

local function reassert(suffix, slot, payload, life)
  local is = ARGV[3] .. suffix
  local key, row = parse_slot(slot)
  local record = read_row(key, row)
  if record and index_of(record, is) then return true end
  local at, was = former_of(record, suffix)
  if at then
    table.remove(record.owners, at)
    local content = call('HGET', owned_by(was), slot)
    call('HDEL', owned_by(was), slot)
    add_owner(key, row, record, is)
    own(is, slot, content)
    return true
  end
  local key_existed, existed = call('EXISTS', key) == 1, value_of(key, row) ~= nil
  if record and not existed then
    erase_row(key, row, record)
    record = nil
  end
  if not write(key, row, payload, record, existed) then return false end
  if life ~= '' and not key_existed then call('PEXPIRE', key, life) end
  local what, content = string.sub(payload, 1, 1), ''
  if what == '=' then content = digest(string.sub(payload, 2)) end
  if what == 'n' then content = string.sub(payload, 2) end
  add_owner(key, row, record or { base = existed, owners = {} }, is)
  own(is, slot, content)
  return true
end

for i = 4, #ARGV, 4 do
  if not reassert(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
    table.insert(lost, (i - 4) / 4)
  end
end
return lost
