-- SREM and HDEL: ARGV[2] is the command, ARGV[3] the kind of row.
local key, kind = KEYS[2], ARGV[3]
local removed = call_in_parts(ARGV[2], key, 4)
if call('EXISTS', rows_of(key)) == 1 then
  for i = 4, #ARGV do
    local record = read_row(key, kind .. ARGV[i])
    if record then erase_row(key, kind .. ARGV[i], record) end
  end
end
return { removed, latest() }
