-- Who owns which row. Every script begins with this file; `scripts.rs` says what stands where.
--
-- A row is a kind ('s' a set's member, 'h' a hash's field, 'v' a string) and, but for a string, a name. Its record, in `rows:<key>`, has the
-- owners, and '1' before them when the value of a counter is not theirs alone. A row without a record is shared. What an owner
-- has is in `owned:<owner>`, by slot (key and row): '' for a member, '=' and a digest for a value, a number for what it counted.
local meta, owner, call = KEYS[1], ARGV[1], redis.call
-- Deadlines of leases by origin; origins by name and names by origin; origins that have ended and whose rows are being dropped.
local LEASES, NAMES, NODES, DEAD = meta .. 'leases', meta .. 'names', meta .. 'nodes', meta .. 'dead'

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

local function read_row(key, row)
  local text = call('HGET', rows_of(key), row)
  if not text then return nil end
  local record = { base = string.sub(text, 1, 1) == '1', owners = {} }
  for who in string.gmatch(string.sub(text, 2), '%S+') do table.insert(record.owners, who) end
  return record
end

local function write_row(key, row, record)
  if #record.owners == 0 then return call('HDEL', rows_of(key), row) end
  call('HSET', rows_of(key), row, (record.base and '1 ' or '0 ') .. table.concat(record.owners, ' '))
end

local function index_of(record, who)
  for i, other in ipairs(record.owners) do if other == who then return i end end
end

local function add_owner(key, row, record, who)
  if not index_of(record, who) then table.insert(record.owners, who) end
  write_row(key, row, record)
end

-- Takes a row from its owners, which their nodes are told with their next heartbeat.
local function erase_row(key, row, record)
  local slot = slot_of(key, row)
  for _, who in ipairs(record.owners) do
    call('HDEL', owned_by(who), slot)
    call('HSET', meta .. 'lost:' .. origin_of(who), who .. ' ' .. slot, tick())
  end
  call('HDEL', rows_of(key), row)
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
    for who in string.gmatch(string.sub(all[i + 1], 2), '%S+') do
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
end

-- Notes what an owner has. Returns when.
local function own(who, slot, content)
  local origin = origin_of(who)
  call('SADD', meta .. 'owners:' .. origin, who)
  if content then call('HSET', owned_by(who), slot, content) end
  call('HDEL', meta .. 'lost:' .. origin, who .. ' ' .. slot)
  return tick()
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
    -- Another program may have written it since; then it is not ours to remove.
    if digest(value) == content then remove_row(key, row) end
  else
    if content ~= '0' then
      add_to(key, row, string.sub(content, 1, 1) == '-' and string.sub(content, 2) or '-' .. content)
    end
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
