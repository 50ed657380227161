-- Looks whether owners still have what their node believes: a key may have expired, or another program removed or overwritten it. From ARGV[2]
-- on, in twos: the owner and the slot. Returns which of them, counted from 0, are lost. Like a write it is refused without a lease: in a Redis that has just
-- lost its data, or swept this origin, nothing was removed by anybody, and all of it is to be written again.
local lost = {}
for i = 2, #ARGV, 2 do
  local who, slot = ARGV[i], ARGV[i + 1]
  local key, row = parse_slot(slot)
  local content, record, value = call('HGET', owned_by(who), slot), read_row(key, row), value_of(key, row)
  local is_overwritten = content and value and string.sub(content, 1, 1) == '=' and digest(value) ~= content
  if not (content and record and value) or is_overwritten then
    if record then erase_row(key, row, record) end
    call('HDEL', owned_by(who), slot)
    table.insert(lost, (i - 2) / 2)
  end
end
return lost
