local key, seq = KEYS[2], 0
local added = call_in_parts('HSET', key, 2)
if owner == '' and call('EXISTS', rows_of(key)) == 0 then return { added, 0 } end
for i = 2, #ARGV, 2 do
  local row = 'h' .. ARGV[i]
  local record = read_row(key, row)
  if record then erase_row(key, row, record) end
  if owner ~= '' then
    write_row(key, row, { base = false, owners = { owner } })
    seq = own(owner, slot_of(key, row), digest(ARGV[i + 1]))
  end
end
return { added, seq }
