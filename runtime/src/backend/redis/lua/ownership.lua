-- Who owns which row. Every script begins with this file; `scripts.rs` says what stands where.
--
-- A row is a kind ('s' a set's member, 'h' a hash's field, 'v' a string) and, but for a string, a name. Its record, in `rows:<key>`, has the
-- owners, each with the moment of its last write, and '1' before them when the value of a counter is not theirs alone. A row without a
-- record is shared. What an owner has is in `owned:<owner>`, by slot (key and row): '' for a member, '=' and a digest for a value, a number for
-- what it counted. Moments only grow, over restarts and losses too (`renew.lua`), so they say which of two writes is the newer.
local meta, owner, call = KEYS[1], ARGV[1], redis.call
-- Deadlines of leases by origin; origins by name and names by origin; origins that have ended and whose rows are being dropped.
local LEASES, NAMES, NODES, DEAD = meta .. 'leases', meta .. 'names', meta .. 'nodes', meta .. 'dead'
-- When a command last changed the deadlines of keys with owned rows; which process this Redis is, the epoch since then, and with which moment it began.
local DEADLINES, RUN = meta .. 'deadlines', meta .. 'run'

local function rows_of(key) return meta .. 'rows:' .. key end
local function owned_by(who) return meta .. 'owned:' .. who end
local function origin_of(who) return string.match(who, '^[^#]+') end
local function slot_of(key, row) return #key .. ':' .. key .. row end
local function tick() return call('INCR', meta .. 'seq') end

local function parse_slot(slot)
  local length, start = string.match(slot, '^(%d+):()')
  return string.sub(slot, start, start + length - 1), string.sub(slot, start + length)
end

local function clock()
  local now = call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- The moment of the latest write.
local function latest() return tonumber(call('GET', meta .. 'seq') or '0') end

-- Which process this is: it differs after a restart and after another one was made the primary. '' when the user must not know.
local function run_id()
  local told = redis.pcall('INFO', 'server')
  return type(told) == 'string' and string.match(told, 'run_id:(%x+)') or ''
end

-- When a key expires, by Redis's clock; -1 for never.
local function deadline_of(key)
  local left = call('PTTL', key)
  if left < 0 then return -1 end
  return clock() + left
end

local function new_record(base) return { base = base, owners = {}, since = {} } end

local function read_row(key, row)
  local text = call('HGET', rows_of(key), row)
  if not text then return nil end
  local record = new_record(string.sub(text, 1, 1) == '1')
  for who, moment in string.gmatch(string.sub(text, 2), '(%S+)@(%d+)') do
    table.insert(record.owners, who)
    record.since[who] = tonumber(moment)
  end
  return record
end

local function delete_record(key, row)
  call('HDEL', rows_of(key), row)
  if call('EXISTS', rows_of(key)) == 0 then call('ZREM', DEADLINES, key) end
end

local function write_row(key, row, record)
  if #record.owners == 0 then return delete_record(key, row) end
  local words = { record.base and '1' or '0' }
  for _, who in ipairs(record.owners) do table.insert(words, string.format('%s@%d', who, record.since[who])) end
  call('HSET', rows_of(key), row, table.concat(words, ' '))
end

local function index_of(record, who)
  for i, other in ipairs(record.owners) do if other == who then return i end end
end

-- Takes a row from its owners, which their nodes are told with their next heartbeat.
local function erase_row(key, row, record)
  local slot = slot_of(key, row)
  for _, who in ipairs(record.owners) do
    call('HDEL', owned_by(who), slot)
    call('HSET', meta .. 'lost:' .. origin_of(who), who .. ' ' .. slot, tick())
  end
  delete_record(key, row)
end

-- Calls a command on a key with many words, in parts that Lua can hand over.
local function call_with(name, key, words)
  for first = 1, #words, 1000 do call(name, key, unpack(words, first, math.min(first + 999, #words))) end
end

-- The same with all rows of a key, at one moment and in few commands: Redis does nothing else meanwhile.
local function erase_key(key)
  local moment, slots, lost = tick(), {}, {}
  local all = call('HGETALL', rows_of(key))
  for i = 1, #all, 2 do
    local slot = slot_of(key, all[i])
    for who in string.gmatch(string.sub(all[i + 1], 2), '(%S+)@%d+') do
      local origin = origin_of(who)
      slots[who], lost[origin] = slots[who] or {}, lost[origin] or {}
      table.insert(slots[who], slot)
      table.insert(lost[origin], who .. ' ' .. slot)
      table.insert(lost[origin], moment)
    end
  end
  for who, of_owner in pairs(slots) do call_with('HDEL', owned_by(who), of_owner) end
  for origin, words in pairs(lost) do call_with('HSET', meta .. 'lost:' .. origin, words) end
  call('DEL', rows_of(key))
  call('ZREM', DEADLINES, key)
end

-- Begins a write to a key. What expired with it, or was removed by another program, has no owners any more. Returns 1 when there is no such key.
local function begin(key)
  if call('EXISTS', key) == 1 then return 0 end
  if call('EXISTS', rows_of(key)) == 1 then erase_key(key) end
  return 1
end

-- Makes somebody an owner of a row. Returns when that was: the given moment, or now.
local function own(key, row, record, who, content, moment)
  local origin, slot = origin_of(who), slot_of(key, row)
  moment = moment or tick()
  if not index_of(record, who) then table.insert(record.owners, who) end
  record.since[who] = moment
  write_row(key, row, record)
  call('SADD', meta .. 'owners:' .. origin, who)
  if content then call('HSET', owned_by(who), slot, content) end
  call('HDEL', meta .. 'lost:' .. origin, who .. ' ' .. slot)
  return moment
end

-- The value of a row; nil when there is none, or the key is of another type.
local function value_of(key, row)
  local kind, name, value = string.sub(row, 1, 1), string.sub(row, 2)
  if kind == 's' then
    value = redis.pcall('SISMEMBER', key, name)
    return value == 1 and '' or nil
  end
  if kind == 'h' then value = redis.pcall('HGET', key, name) else value = redis.pcall('GET', key) end
  return type(value) == 'string' and value or nil
end

local function remove_row(key, row)
  local kind, name = string.sub(row, 1, 1), string.sub(row, 2)
  if kind == 's' then redis.pcall('SREM', key, name)
  elseif kind == 'h' then redis.pcall('HDEL', key, name)
  else call('DEL', key) end
end

local function add_to(key, row, by)
  if string.sub(row, 1, 1) == 'h' then return redis.pcall('HINCRBY', key, string.sub(row, 2), by) end
  return redis.pcall('INCRBY', key, by)
end

local function digest(value) return '=' .. redis.sha1hex(value) end

local function is_count(content) return string.match(content, '^%-?%d+$') ~= nil end

local function negated(count)
  if count == '0' then return count end
  return string.sub(count, 1, 1) == '-' and string.sub(count, 2) or '-' .. count
end

-- Whether another program has written a value over the one that an owner has.
local function is_overwritten(content, value)
  return string.sub(content, 1, 1) == '=' and digest(value) ~= content
end

-- Lets an owner's row go, and the row itself when nobody else has it.
local function drop_row(who, slot, content)
  call('HDEL', owned_by(who), slot)
  local key, row = parse_slot(slot)
  local record = read_row(key, row)
  local at = record and index_of(record, who)
  if not at then return end
  table.remove(record.owners, at)
  local last, value = #record.owners == 0, value_of(key, row)
  if not value then
    -- It has expired, or somebody has removed it, and what stands there now is of another type: nothing of it is left to take.
  elseif string.sub(row, 1, 1) == 's' then
    if last then remove_row(key, row) end
  elseif string.sub(content, 1, 1) == '=' then
    -- What another program has written since is not ours to remove.
    if not is_overwritten(content, value) then remove_row(key, row) end
  else
    add_to(key, row, negated(content))
    if last and not record.base then remove_row(key, row) end
  end
  write_row(key, row, record)
end

-- Lets at least one of an owner's rows go, and about `limit`. Returns how many are left.
local function drop_rows(who, limit)
  local cursor, dropped = '0', 0
  repeat
    local found = call('HSCAN', owned_by(who), cursor, 'COUNT', limit)
    cursor = found[1]
    for i = 1, #found[2], 2 do
      drop_row(who, found[2][i], found[2][i + 1])
      dropped = dropped + 1
    end
  until dropped > 0 or cursor == '0'
  local left = call('HLEN', owned_by(who))
  if left == 0 then call('SREM', meta .. 'owners:' .. origin_of(who), who) end
  return left
end

-- From here on nothing can be written for this origin, and what it has goes.
local function end_origin(origin)
  call('ZREM', LEASES, origin)
  call('SADD', DEAD, origin)
end

-- Lets about `limit` rows of an ended origin go, and in the end what is known of it. Returns whether there is more.
local function bury(origin, limit)
  local who = call('SRANDMEMBER', meta .. 'owners:' .. origin)
  if who then
    drop_rows(who, limit)
    return 1
  end
  local name = call('HGET', NODES, origin)
  if name and call('HGET', NAMES, name) == origin then call('HDEL', NAMES, name) end
  call('HDEL', NODES, origin)
  call('SREM', DEAD, origin)
  call('EXPIRE', meta .. 'lost:' .. origin, 86400)
  return 0
end

-- Calls a command with many values in parts that Lua can hand over.
local function call_in_parts(name, key, from)
  local sum = 0
  for first = from, #ARGV, 1000 do
    sum = sum + call(name, key, unpack(ARGV, first, math.min(first + 999, #ARGV)))
  end
  return sum
end

if owner ~= '' and not call('ZSCORE', LEASES, origin_of(owner)) then
  return redis.error_reply('LEASELOST the lease of ' .. origin_of(owner) .. ' has expired')
end
