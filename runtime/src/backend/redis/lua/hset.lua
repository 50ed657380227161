local key, moment = KEYS[2], 0
local is_new = begin(key)
local added = call_in_parts('HSET', key, 2)
if owner == '' and call('EXISTS', rows_of(key)) == 0 then return { added, latest() } end
for i = 2, #ARGV, 2 do
  local row = 'h' .. ARGV[i]
  local record = read_row(key, row)
  if record then erase_row(key, row, record) end
  if owner ~= '' then moment = own(key, row, new_record(false), owner, digest(ARGV[i + 1])) end
end
if owner == '' then return { added, latest() } end
return { added, moment, deadline_of(key), is_new }
