-- What the origins ARGV[2] had (one or several, by spaces) belongs to the origin ARGV[3] of the same node: what is left of it changes hands and becomes what the node
-- last made of it, what is gone is written again, and what somebody else has written since is theirs. From ARGV[4] on, in sixes: the session's suffix, the
-- slot, 's' or '=value' or 'ncount', the moment of that write; when the key expires ('' for never), and the moment at which that was so. Returns, in
-- twos, which of them, counted from 0, the node has lost, and why when another program stands in the way. Any other refusal ends it: what is left is for later.
local origin, lost, refusal = ARGV[3], {}, nil
if not call('ZSCORE', LEASES, origin) then
  return redis.error_reply('LEASELOST the lease of ' .. origin .. ' has expired')
end
-- A Redis that takes no writes now, because it is full or its disk is, refuses here, before anything has changed.
call('ZINCRBY', LEASES, 0, origin)
-- Writes after it are not in what this Redis came back with; zero when it came back empty.
local began = tonumber(call('HGET', RUN, 'began') or '0')

-- Why a row cannot be written, if so.
local function obstacle(outcome)
  local why = type(outcome) == 'table' and outcome.err
  if not why then return nil end
  if not (string.find(why, 'WRONGTYPE') or string.find(why, 'not an integer') or string.find(why, 'overflow')) then refusal = outcome end
  return why
end

local function write_value(key, row, value)
  if string.sub(row, 1, 1) == 'h' then return redis.pcall('HSET', key, string.sub(row, 2), value) end
  return redis.pcall('SET', key, value, 'KEEPTTL')
end

-- What an owner has who wrote this.
local function content_of(what, rest)
  if what == '=' then return digest(rest) end
  return rest
end

local function owner_in(record, suffix)
  if not record then return nil end
  for each in string.gmatch(origin .. ' ' .. ARGV[2], '%S+') do
    if index_of(record, each .. suffix) then return each .. suffix end
  end
end

local function was_taken(suffix, slot, moment)
  for each in string.gmatch(origin .. ' ' .. ARGV[2], '%S+') do
    local taken = call('HGET', meta .. 'lost:' .. each, each .. suffix .. ' ' .. slot)
    if taken and tonumber(taken) > moment then return true end
  end
  return false
end

-- What the owners of a row have, and when the latest of them wrote.
local function standing(key, row, record)
  local slot, newest, all_count = slot_of(key, row), 0, true
  for _, who in ipairs(record.owners) do
    newest = math.max(newest, record.since[who])
    all_count = all_count and is_count(call('HGET', owned_by(who), slot) or '')
  end
  return newest, all_count
end

-- A row that stands and was this node's: it may be older than what the node has written.
local function take_over(key, row, record, was, is, what, rest, moment)
  local slot = slot_of(key, row)
  local content, since, is_replaced = call('HGET', owned_by(was), slot), record.since[was], false
  if moment > since and what ~= 's' then
    local why
    if is_count(content) and is_count(rest) then
      why = obstacle(add_to(key, row, negated(content))) or obstacle(add_to(key, row, rest))
      content = rest
    elseif record.base or standing(key, row, record) > moment then
      return 'STANDING others have counted on an older value since'
    else
      why = obstacle(write_value(key, row, rest))
      content, is_replaced = content_of(what, rest), true
    end
    if why then return why end
  end
  call('HDEL', owned_by(was), slot)
  table.remove(record.owners, index_of(record, was))
  if is_replaced then
    erase_row(key, row, record)
    record = new_record(false)
  end
  own(key, row, record, is, content, math.max(moment, since))
end

-- A row that is not there.
local function write_again(key, row, is, what, rest, moment)
  local outcome
  if what == 's' then outcome = redis.pcall('SADD', key, string.sub(row, 2))
  elseif what == 'n' then outcome = add_to(key, row, rest)
  elseif row == 'v' and call('EXISTS', key) == 1 then return 'WRONGTYPE another type stands there'
  else outcome = write_value(key, row, rest) end
  local why = obstacle(outcome)
  if why then return why end
  own(key, row, new_record(false), is, content_of(what, rest), moment)
end

local function replace(key, row, is, value, moment)
  local why = obstacle(write_value(key, row, value))
  if why then return why end
  own(key, row, new_record(false), is, digest(value), moment)
end

-- What this node counted, or set and others counted on, joins what stands.
local function join(key, row, record, is, rest, moment)
  local slot, before = slot_of(key, row), value_of(key, row)
  local why = obstacle(add_to(key, row, rest))
  if why then return why end
  for _, who in ipairs(record.owners) do
    if string.sub(call('HGET', owned_by(who), slot) or '', 1, 1) == '=' then call('HSET', owned_by(who), slot, before) end
  end
  own(key, row, record, is, rest, moment)
end

-- A row that stands without having been this node's.
local function meet(key, row, record, is, what, rest, moment)
  if not record then
    if what == 'n' then return join(key, row, new_record(true), is, rest, moment) end
    -- Whether it came back with the Redis or was written after that, nobody knows, and what was granted then must stand.
    return what == 's' and '' or 'STANDING a value of nobody stands there'
  end
  if what == 's' then
    own(key, row, record, is, '', moment)
    return nil
  end
  local newest, all_count = standing(key, row, record)
  if what == 'n' and (all_count or moment > newest) then return join(key, row, record, is, rest, moment) end
  if what == '=' and moment > newest then
    erase_row(key, row, record)
    return replace(key, row, is, rest, moment)
  end
  if what == '=' and all_count and is_count(rest) then return join(key, row, record, is, rest, moment) end
  return ''
end

-- Gives a key the deadline that the node knows, unless somebody may know better.
local function restore_deadline(key, deadline, moment, existed, was)
  local known = call('ZSCORE', DEADLINES, key)
  local is_newer = known and moment > tonumber(known)
  local is_forgotten = not known and was and deadline ~= '' and began > 0 and moment > began and call('PTTL', key) == -1
  if existed and not is_newer and not is_forgotten then return end
  call('ZADD', DEADLINES, moment, key)
  if deadline ~= '' then call('PEXPIREAT', key, deadline) else call('PERSIST', key) end
end

local function reassert(suffix, slot, payload, moment, deadline, learned)
  local is, what, rest = origin .. suffix, string.sub(payload, 1, 1), string.sub(payload, 2)
  local key, row = parse_slot(slot)
  local record, value, existed = read_row(key, row), value_of(key, row), call('EXISTS', key) == 1
  local was, why = owner_in(record, suffix), nil
  if not was and was_taken(suffix, slot, moment) then return '' end
  if record and (not value or (was and is_overwritten(call('HGET', owned_by(was), slot), value))) then
    -- It has expired, or another program has removed or overwritten it.
    local is_older = was and record.since[was] >= moment
    erase_row(key, row, record)
    if is_older then return '' end
    record, was = nil, nil
  end
  if was then
    why = take_over(key, row, record, was, is, what, rest, moment)
  elseif value then
    why = meet(key, row, record, is, what, rest, moment)
  elseif deadline ~= '' and tonumber(deadline) <= clock() then
    return ''
  else
    why = write_again(key, row, is, what, rest, moment)
  end
  if not why then restore_deadline(key, deadline, learned, existed, was) end
  return why
end

for i = 4, #ARGV, 6 do
  local why = reassert(ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], tonumber(ARGV[i + 5]))
  if refusal then return refusal end
  if why then
    table.insert(lost, (i - 4) / 6)
    table.insert(lost, why)
  end
end
return lost
