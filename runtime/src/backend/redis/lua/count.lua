-- INCRBY and HINCRBY of the row ARGV[2] by ARGV[3]; with ARGV[4], the whole key lives for so many seconds from now on.
local key, row, by, seconds, moment = KEYS[2], ARGV[2], ARGV[3], ARGV[4], 0
local slot, name = slot_of(key, row), string.sub(row, 2)
local is_field = string.sub(row, 1, 1) == 'h'
local function read()
  if is_field then return call('HGET', key, name) end
  return call('GET', key)
end
local is_new = begin(key)
local before = read()
local outcome = add_to(key, row, by)
if type(outcome) == 'table' then return outcome end
-- As text: a number in Lua has 53 bits.
local sum, content = read(), ''
local record = read_row(key, row)
if record and not before then
  erase_row(key, row, record)
  record = nil
end
if record then
  -- Who set it has from now on counted as much.
  for _, who in ipairs(record.owners) do
    if string.sub(call('HGET', owned_by(who), slot) or '', 1, 1) == '=' then call('HSET', owned_by(who), slot, before) end
  end
end
if owner ~= '' then
  local total = redis.pcall('HINCRBY', owned_by(owner), slot, by)
  if type(total) == 'table' then
    if not before then remove_row(key, row)
    elseif is_field then call('HSET', key, name, before)
    else call('SET', key, before, 'KEEPTTL') end
    return total
  end
  moment = own(key, row, record or new_record(before and true or false), owner)
  content = call('HGET', owned_by(owner), slot)
elseif record and not record.base then
  record.base = true
  write_row(key, row, record)
end
if seconds ~= '' and tonumber(seconds) > 0 then
  call('EXPIRE', key, seconds)
  if call('EXISTS', rows_of(key)) == 1 then
    moment = tick()
    call('ZADD', DEADLINES, moment, key)
  end
elseif seconds ~= '' then
  call('DEL', key)
  erase_key(key)
end
return { sum, moment, deadline_of(key), is_new, content }
