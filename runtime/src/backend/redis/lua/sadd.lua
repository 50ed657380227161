local key, added, moment = KEYS[2], 0, 0
local is_new = begin(key)
local has_records = call('EXISTS', rows_of(key)) == 1
if owner == '' then
  added = call_in_parts('SADD', key, 2)
  if has_records then
    for i = 2, #ARGV do
      local record = read_row(key, 's' .. ARGV[i])
      if record then erase_row(key, 's' .. ARGV[i], record) end
    end
  end
  return { added, 0 }
end
for i = 2, #ARGV do
  local row = 's' .. ARGV[i]
  local is_added = call('SADD', key, ARGV[i])
  local record = read_row(key, row)
  if is_added == 1 and record then
    erase_row(key, row, record)
    record = nil
  end
  -- A member that is there without a record is shared, and stays so.
  if is_added == 1 or record then moment = own(key, row, record or new_record(false), owner, '') end
  added = added + is_added
end
return { added, moment, deadline_of(key), is_new }
