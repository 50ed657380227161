-- SET with its life in ARGV[3] ('' for ever), NX when ARGV[4] is '1'.
local key, value, seq = KEYS[2], ARGV[2], 0
local words = { 'SET', key, value }
if ARGV[3] ~= '' then
  table.insert(words, 'EX')
  table.insert(words, ARGV[3])
end
if ARGV[4] == '1' then table.insert(words, 'NX') end
if not call(unpack(words)) then return { 0, 0 } end
if call('EXISTS', rows_of(key)) == 1 then erase_key(key) end
if owner ~= '' then
  write_row(key, 'v', { base = false, owners = { owner } })
  seq = own(owner, slot_of(key, 'v'), digest(value))
end
return { 1, seq }
