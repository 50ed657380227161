-- SET with its life in ARGV[3] ('' for ever), NX when ARGV[4] is '1'.
local key, value, moment = KEYS[2], ARGV[2], 0
local words = { 'SET', key, value }
if ARGV[3] ~= '' then
  table.insert(words, 'EX')
  table.insert(words, ARGV[3])
end
if ARGV[4] == '1' then table.insert(words, 'NX') end
if not call(unpack(words)) then return { 0, 0 } end
if call('EXISTS', rows_of(key)) == 1 then erase_key(key) end
if owner == '' then return { 1, latest() } end
moment = own(key, 'v', new_record(false), owner, digest(value))
if ARGV[3] ~= '' then call('ZADD', DEADLINES, moment, key) end
return { 1, moment, deadline_of(key), 1 }
